"""Keeps jobs going: the next round starts when the one before it is settled, and no killed run stands in its way."""

import dagster as dg

from assets import partitions
from atlas_pipelines.campaign import next_rounds
from atlas_pipelines.dead_runs import fail_dead_runs
from atlas_pipelines.jobs import JOB_TAG, federated_round, round_tags

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
    description="Reports runs as failed whose process was killed, so that they keep no later run of their job waiting.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Starts nothing; says what it found."""
    failed = fail_dead_runs(context.instance)
    return dg.SkipReason(f"Reported as failed: {', '.join(failed)}." if failed else "Every run's process is alive.")


@dg.sensor(
    job=federated_round,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=(
        "Opens the next round of every opened job that has rounds left and none in work. Off by default: "
        "`atlas run` runs a job's rounds itself. Turn it on where the daemon should, under `atlas up`. "
        "A round that failed is left for a person to launch again."
    ),
)
def next_round(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run request per job that can go on; a round is asked for once."""
    instance = context.instance
    runs = instance.get_runs(dg.RunsFilter(statuses=WORKING))
    keys = next_rounds(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=instance.get_dynamic_partitions(partitions.JOBS),
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
        busy={run.tags[JOB_TAG] for run in runs if JOB_TAG in run.tags},
    )
    if not keys:
        return dg.SkipReason("No opened job has a round to start.")
    return dg.SensorResult([dg.RunRequest(run_key=key, partition_key=key, tags=round_tags(key)) for key in keys])
