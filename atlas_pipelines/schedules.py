"""Retrains finished jobs on newly read data."""

from collections.abc import Iterator

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from atlas_pipelines.campaign import finished_jobs, retraining_name
from atlas_pipelines.jobs import federated_round, unattended_round


@dg.schedule(
    job=federated_round,
    cron_schedule="0 3 * * 1",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=(
        "On Mondays, orders every finished job again as NAME-YYYYMMDD: the new job reads its data again, trains from "
        "the untrained adapter, and is paid from the operator's account. Off by default; a job that has its own "
        "schedule is ordered by both."
    ),
)
@plain_errors
def weekly_retraining(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run request per round; the runs of one job wait for each other."""
    instance, day = context.instance, context.scheduled_execution_time.strftime("%Y%m%d")
    finished = finished_jobs(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=instance.get_dynamic_partitions(partitions.JOBS),
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
    )
    if not finished:
        yield dg.SkipReason("No job has settled all of its rounds.")
    for job, count in finished.items():
        name = retraining_name(job, day)
        keys = [partitions.round_key(name, number) for number in range(1, count + 1)]
        instance.add_dynamic_partitions(partitions.ROUNDS, keys)
        config = dg.RunConfig(ops={"base_checkpoint": LaunchConfig(repeat=job)})
        for key in keys:
            yield unattended_round(key, config)
