"""Execute rounds in this process, against a Dagster instance."""

import warnings
from pathlib import Path

import dagster as dg

from assets import partitions
from assets.launch_config import LaunchConfig
from assets.progress import Progress
from atlas.errors import AtlasError
from atlas_pipelines.dead_runs import fail_dead_runs, refuse_second_run
from atlas_pipelines.definitions import defs


class RoundFailed(AtlasError):
    """A round ended without its settlement, for a reason that no part of Atlas has told by an error of its own."""


def execute_round(
    instance: dg.DagsterInstance, key: str, config: LaunchConfig, progress: Progress, log: Path
) -> dg.ExecuteInProcessResult:
    """Run `federated_round` for one round, its Dagster log going to a file.

    Raises the `AtlasError` that stopped it, `RoundFailed`, or `JobAtWork` while another run works for the job.
    """
    fail_dead_runs(instance)
    refuse_second_run(instance, partitions.parse_round_key(key)[0])
    instance.add_dynamic_partitions(partitions.ROUNDS, [key])
    log.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return defs.resolve_job_def("federated_round").execute_in_process(
                instance=instance,
                partition_key=key,
                resources={"progress": progress},
                run_config={
                    "loggers": {"file": {"config": {"path": str(log)}}},
                    "ops": {"base_checkpoint": {"config": config.model_dump(exclude_none=True)}},
                },
            )
        except (dg.Failure, dg.DagsterError) as error:
            raise RoundFailed(f"Round {key} failed: {_reason(error)} Its log is {log}.") from error


def _reason(error: BaseException) -> str:
    return str(error.description if isinstance(error, dg.Failure) else error)
