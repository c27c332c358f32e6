"""Error handling of Dagster's functions: one sentence per error, and refused or interrupted runs end as canceled.

Dagster wraps an error of an op in a cyclic chain of exceptions. A `dg.Failure` is not wrapped: the run's page shows
its description first, and `atlas run` reads it.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dagster as dg

from atlas.errors import AtlasError, SpecError
from atlas.home import AtlasHome
from atlas.unexpected import record_unexpected
from resources.errors import JobAtWork, JobEnded, OtherContract

REFUSALS = (SpecError, OtherContract, JobEnded, JobAtWork)
"""Errors that refuse an order before any work is done for it."""
INTERRUPTS = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)
IN_A_RUN = (dg.AssetExecutionContext, dg.AssetCheckExecutionContext, dg.OpExecutionContext)
INTERRUPTED = "The run was interrupted. Launch the round again to continue where it stopped."
Function = TypeVar("Function", bound=Callable[..., Any])


class Interrupted(dg.Failure):
    """A step was stopped by Ctrl-C, SIGTERM or *Terminate*. Unlike Dagster's own interruption it shows no stack."""


def plain_errors(function: Function) -> Function:
    """Decorate the function of an asset, asset check, op, sensor or schedule; place it right below Dagster's decorator.

    In a run, an `AtlasError` fails the step with its text. Any other error fails it with one sentence, and its
    traceback is written to the coordinator's log. One of `REFUSALS` ends the run as canceled, as an interrupt does,
    so partitions that were materialized before do not turn red. Outside a run, an `AtlasError` is raised unchanged,
    and any other error as `UnexpectedError`.
    """
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def steps(*arguments: Any, **named: Any) -> Iterator[Any]:
            with _failing(_context(arguments, named)):
                yield from function(*arguments, **named)

        return steps  # type: ignore[return-value]

    @wraps(function)
    def step(*arguments: Any, **named: Any) -> Any:
        with _failing(_context(arguments, named)):
            return function(*arguments, **named)

    return step  # type: ignore[return-value]


def cancel_run(instance: dg.DagsterInstance, run_id: str, why: str) -> None:
    """Mark a run in progress as canceling, so that it ends as canceled with any error."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status == dg.DagsterRunStatus.STARTED:
        instance.report_run_canceling(run, message=why)


@contextmanager
def _failing(context: Any) -> Iterator[None]:
    run_id = context.run.run_id if isinstance(context, IN_A_RUN) else None
    try:
        yield
    except INTERRUPTS:
        if run_id is None:
            raise
        cancel_run(context.instance, run_id, INTERRUPTED)
        raise Interrupted(description=INTERRUPTED, allow_retries=False) from None
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except (Exception, SystemExit) as error:  # SystemExit: a library's `sys.exit()` must not end the run as done
        told = error if isinstance(error, AtlasError) else record_unexpected(error, AtlasHome.from_environment().log)
        if run_id is None:
            raise told from told.__cause__
        if isinstance(error, REFUSALS):
            cancel_run(context.instance, run_id, "The order was refused; nothing was done.")
        raise dg.Failure(description=str(told), allow_retries=False) from told


def _context(arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return arguments[0] if arguments else named.get("context")
