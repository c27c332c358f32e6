"""Execute rounds in this process, against a Dagster instance."""

import warnings
from pathlib import Path
from uuid import uuid4

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from assets import partitions
from assets.fleet_run.progress import RoundProgress
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import INTERRUPTED, INTERRUPTS, Interrupted
from atlas.errors import AtlasError
from atlas.unexpected import record_unexpected
from atlas_pipelines.dead_runs import fail_dead_runs
from atlas_pipelines.definitions import defs

UNCAPTURED = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}


class RoundFailed(AtlasError):
    """A round ended without its settlement, and no `AtlasError` gives the reason."""


def open_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance in a folder, for rounds that run in this process and use its terminal.

    The output of the process is not captured. Dagster would capture it with four child processes; Ctrl-C also stops
    these, and their tracebacks would appear in the command's output.
    """
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=UNCAPTURED))


def execute_round(
    instance: dg.DagsterInstance, key: str, config: LaunchConfig, progress: RoundProgress, log: Path
) -> dg.ExecuteInProcessResult:
    """Run `federated_round` for one round; write its Dagster log to a file.

    Raises the `AtlasError` that stopped it, `UnexpectedError` for any other error, `RoundFailed`, `JobAtWork` while
    another run of the job is in progress, or `KeyboardInterrupt`; an interrupted run is canceled.
    """
    fail_dead_runs(instance)
    instance.add_dynamic_partitions(partitions.ROUNDS, [key])
    log.parent.mkdir(parents=True, exist_ok=True)
    run_id = str(uuid4())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return defs.resolve_job_def("federated_round").execute_in_process(
                instance=instance,
                partition_key=key,
                run_id=run_id,
                resources={"progress": progress},
                run_config={
                    "loggers": {"file": {"config": {"path": str(log)}}},
                    "ops": {"base_checkpoint": {"config": config.model_dump(exclude_none=True)}},
                },
            )
        except (*INTERRUPTS, Interrupted):
            _mark_canceled(instance, run_id)
            raise KeyboardInterrupt from None
        except (Exception, SystemExit) as error:
            failure = _failure(error, key, log)
    raise failure  # inside the handler, it would be chained to Dagster's exception


def _failure(error: BaseException, key: str, log: Path) -> AtlasError:
    """The error that `atlas run` reports. Dagster's exception chain may be cyclic, so each link is visited once."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        if isinstance(link, AtlasError):
            return link
        seen.append(link)
        link = link.__cause__ or link.__context__
    if isinstance(error, dg.Failure):
        return RoundFailed(f"Round {key} failed: {error.description} Its log is {log}.")
    return record_unexpected(getattr(error, "user_exception", None) or error, log)


def _mark_canceled(instance: dg.DagsterInstance, run_id: str) -> None:
    """Mark an interrupted run as canceled. If no step was running, Dagster has recorded the interrupt as a failure."""
    run = instance.get_run_by_id(run_id)
    if run is not None and run.status == dg.DagsterRunStatus.FAILURE:
        instance.report_run_canceled(run, message=INTERRUPTED)
