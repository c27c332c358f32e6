"""Sensors: launch the next round of a job, report killed runs as failed, and retrain on new data."""

import json
from collections.abc import Collection

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from assets.ops.start import RUN_ROUNDS_TAG
from assets.plain_errors import plain_errors
from assets.recorded.run_tags import JOB_TAG, job_of_run
from assets.recorded.source_version import opened_source
from atlas.data.fingerprint import short_version, source_fingerprint
from atlas.errors import DataError
from atlas_pipelines.campaign import SourceVersion, finished_jobs, next_rounds, retraining_name, with_new_data
from atlas_pipelines.dead_runs import fail_dead_runs
from atlas_pipelines.jobs import federated_round, unattended_round
from resources.coordinator import CoordinatorResource

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


@dg.sensor(
    job=federated_round,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=(
        "Orders a finished job again when its source has changed, as NAME-v and eight hex digits of the new version: "
        "the new job reads its data again, trains from the untrained adapter, and is paid from the operator's "
        "account. Each version is ordered once. Off by default."
    ),
)
@plain_errors
def new_data(context: dg.SensorEvaluationContext, coordinator: CoordinatorResource) -> dg.SensorResult | dg.SkipReason:
    """One run request per round of each new order; what was seen of each source is kept in the cursor."""
    instance = context.instance
    finished = finished_jobs(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=instance.get_dynamic_partitions(partitions.JOBS),
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
    )
    versions, failures = _versions(context, list(finished), coordinator)
    moved, seen = with_new_data(versions, json.loads(context.cursor or "{}"))
    orders = {job: retraining_name(job, f"v{short_version(versions[job].now)}") for job in moved}
    keys = {job: [partitions.round_key(name, at + 1) for at in range(finished[job])] for job, name in orders.items()}
    if not keys:
        context.update_cursor(json.dumps(seen, sort_keys=True))
        return dg.SkipReason("; ".join(["No finished job has new data", *failures]) + ".")
    return dg.SensorResult(
        run_requests=[_repeat(job, key) for job, rounds in keys.items() for key in rounds],
        dynamic_partitions_requests=[partitions.rounds.build_add_request([key for of in keys.values() for key in of])],
        cursor=json.dumps(seen, sort_keys=True),
    )


def _repeat(job: str, key: str) -> dg.RunRequest:
    """A run request for one round of the repeated order."""
    return unattended_round(key, dg.RunConfig(ops={"base_checkpoint": LaunchConfig(repeat=job)}))


def _versions(
    context: dg.SensorEvaluationContext, jobs: list[str], coordinator: CoordinatorResource
) -> tuple[dict[str, SourceVersion], list[str]]:
    """The opened and current source versions of each job, and the reasons why some are unavailable."""
    versions: dict[str, SourceVersion] = {}
    failures: list[str] = []
    for job in jobs:
        opened = opened_source(context.instance, job)
        if opened is None:
            failures.append(f"{job}: no version of its source is recorded")
            continue
        try:
            now = source_fingerprint(opened.spec, coordinator.home.root / "cache")
        except DataError as error:
            failures.append(f"{job}: {error}")
            context.log.warning("cannot read the version of the source of job %s: %s", job, error)
            continue
        if now is not None:
            versions[job] = SourceVersion(opened.version, now)
    return versions, failures
