"""Retrains finished jobs on newly read data."""

from collections.abc import Iterator

import dagster as dg

from assets import partitions
from assets.plain_errors import plain_errors
from atlas_pipelines.campaign import finished_jobs, retraining_name
from atlas_pipelines.jobs import federated_round, retraining_requests
from resources.coordinator import CoordinatorResource


@dg.schedule(
    job=federated_round,
    cron_schedule="0 3 * * 1",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description=(
        "On Mondays, orders every finished job again as NAME-YYYYMMDD: the new job reads its data again, trains from "
        "the untrained adapter, and is paid from the operator's account. Off by default. Jobs with a schedule or "
        "automation of their own are left out."
    ),
)
@plain_errors
def weekly_retraining(
    context: dg.ScheduleEvaluationContext, coordinator: CoordinatorResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run request per round; the runs of one job wait for each other."""
    instance, day = context.instance, context.scheduled_execution_time.strftime("%Y%m%d")
    finished = finished_jobs(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=instance.get_dynamic_partitions(partitions.JOBS),
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
    )
    chosen = finished.keys() - coordinator.schedules.all().keys() - coordinator.automations.all().keys()
    if not chosen:
        yield dg.SkipReason("No job without a schedule or automation of its own has settled all of its rounds.")
    for job in sorted(chosen):
        requests = retraining_requests(retraining_name(job, day), job, finished[job])
        instance.add_dynamic_partitions(partitions.ROUNDS, [str(one.partition_key) for one in requests])
        yield from requests
