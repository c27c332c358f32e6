"""Run tasks on the fleet from inside an asset: one Pipes session per attempt, with progress for an observer."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing

import dagster as dg

from assets.fleet_run.background import iterate_in_background
from assets.fleet_run.pipes import PipesSessions
from assets.fleet_run.progress import RoundProgress
from atlas.spec.job import TaskSpec
from resources.dispatch.dispatcher import CheckUpdate
from resources.dispatch.outcomes import TaskOutcome, TaskUpdate
from resources.fleet import FleetResource
from resources.rounds.round import Round


def run_tasks(
    context: dg.AssetExecutionContext,
    round_: Round,
    tasks: Sequence[TaskSpec],
    *,
    fleet: FleetResource,
    progress: RoundProgress,
    address: tuple[str, Callable[[TaskSpec], str]],
    check: CheckUpdate | None = None,
) -> Iterator[TaskOutcome]:
    """Yield the outcome of each task as it arrives.

    `address` is the asset that the tasks materialize, and a function from a task to its partition.
    """
    with PipesSessions(context, *address) as sessions:

        async def work(tell: Callable[[TaskOutcome | TaskUpdate], None]) -> AsyncIterator[TaskOutcome | TaskUpdate]:
            async with fleet.dispatcher(round_.ledger, round_.store) as dispatcher:
                running = dispatcher.run(
                    round_.job, round_.number, tasks, on_update=tell, pipes_env=sessions.environment, check=check
                )
                async with aclosing(running) as outcomes:
                    async for outcome in outcomes:
                        yield outcome

        for news in iterate_in_background(work):
            if isinstance(news, TaskUpdate):
                sessions.forward(news)
                progress.task(news)
            else:
                progress.ended(news)
                yield news
