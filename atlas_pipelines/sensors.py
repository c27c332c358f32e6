"""Sensors: launch the next round of a job, and report killed runs as failed."""

import warnings
from collections.abc import Collection

import dagster as dg

from assets import partitions
from assets.ops.start import RUN_ROUNDS_TAG
from assets.plain_errors import plain_errors
from assets.recorded.run_tags import JOB_TAG, job_of_run
from atlas_pipelines.campaign import next_rounds
from atlas_pipelines.dead_runs import fail_dead_runs
from atlas_pipelines.jobs import federated_round, unattended_round

WORKING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports runs whose process was killed as failed, so that later runs of their job can start.",
)
@plain_errors
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Launch nothing; the reason of the skipped tick lists the runs."""
    failed = fail_dead_runs(context.instance)
    return dg.SkipReason(f"Reported as failed: {', '.join(failed)}." if failed else "Every run's process is alive.")


@dg.sensor(
    job=federated_round,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=(
        "Launches the next round of every opened job that has rounds left and no run in progress. Off by default: "
        "`atlas run` runs the rounds of its job, and the sensor started_jobs launches those of jobs that start_job has "
        "opened. After a round that failed it waits until that round is launched again."
    ),
)
@plain_errors
def next_round(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run request per job that can go on; a round is requested once."""
    keys = _next_rounds(context.instance, context.instance.get_dynamic_partitions(partitions.JOBS))
    if not keys:
        return dg.SkipReason("No opened job has a round to launch.")
    return dg.SensorResult([unattended_round(key) for key in keys])


@dg.sensor(
    job=federated_round,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Launches the rounds of the jobs that start_job has opened with run_rounds, one after the other. After a round "
        "that failed it waits until that round is launched again, or start_job with the same order."
    ),
)
@plain_errors
def started_jobs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run request per started job that can go on; a round is requested once for each time its job was started."""
    started = _started_jobs(context.instance)
    keys = _next_rounds(context.instance, started)
    if not keys:
        return dg.SkipReason("No started job has a round to launch.")
    return dg.SensorResult(
        [unattended_round(key, occasion=started[partitions.parse_round_key(key)[0]]) for key in keys]
    )


def _started_jobs(instance: dg.DagsterInstance) -> dict[str, str]:
    """Each job that is to be run round by round, with the id of the newest run that started it."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_ROUNDS_TAG: "true"}, statuses=[dg.DagsterRunStatus.SUCCESS]))
    return {run.tags[JOB_TAG]: run.run_id for run in reversed(runs)}  # the newest run is the first


def _next_rounds(instance: dg.DagsterInstance, jobs: Collection[str]) -> list[str]:
    """The next round of each of these jobs that has rounds left and no run in progress."""
    runs = instance.get_runs(dg.RunsFilter(statuses=WORKING))
    return next_rounds(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=jobs,
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
        busy={job for run in runs if (job := job_of_run(run.tags)) is not None},
    )


def _report_settled_jobs() -> dg.AutomationConditionSensorDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # a condition of our own is evaluated in this code location
        return dg.AutomationConditionSensorDefinition(
            "report_settled_jobs",
            target=dg.AssetSelection.assets("job_report"),
            use_user_code_server=True,
            default_status=dg.DefaultSensorStatus.STOPPED,
            description="Makes the report of a job again when one of its rounds was settled. Off by default.",
        )


report_settled_jobs = _report_settled_jobs()
