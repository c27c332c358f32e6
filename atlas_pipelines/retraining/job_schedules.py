"""One schedule in Dagster for each job that has one: it orders the job again, on data that is read again."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from assets import partitions
from assets.plain_errors import plain_errors
from atlas_pipelines.campaign import finished_jobs, retraining_name
from atlas_pipelines.jobs import federated_round, retraining_requests
from atlas_pipelines.retraining.monthly_budget import order_within_budget
from resources.coordinator import CoordinatorResource
from resources.jobs.retrainings import Retraining
from resources.jobs.schedules import JobSchedule

Ticks = Iterator[dg.RunRequest | dg.SkipReason]


def job_schedules(coordinator: CoordinatorResource) -> list[dg.ScheduleDefinition]:
    """The schedules of all jobs, as they are now."""
    kept = coordinator.schedules.all()
    return [_schedule(job, budget, schedule, coordinator) for job, (budget, schedule) in kept.items()]


def schedule_name(job: str) -> str:
    """The name of a job's schedule in Dagster, which allows no dashes: `retrain_my_job`."""
    return f"retrain_{job.replace('-', '_')}"


def _schedule(job: str, budget: int, schedule: JobSchedule, coordinator: CoordinatorResource) -> dg.ScheduleDefinition:
    limit = schedule.monthly_budget

    @dg.schedule(
        name=schedule_name(job),
        job=federated_round,
        cron_schedule=schedule.cron,
        execution_timezone=schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"Orders the job {job} again as NAME-YYYYMMDDHHMM: the new job reads its data again, trains from the "
            f"untrained adapter, and is paid from the operator's account ({budget} micro-units each"
            f"{f', at most {limit} in a month' if limit else ''}). Change it with: atlas job schedule {job}"
        ),
    )
    @plain_errors
    def retraining(context: dg.ScheduleEvaluationContext) -> Ticks:
        """One run request per round, once the job is finished and if the month's budget allows it."""
        instance = context.instance
        finished = finished_jobs(
            rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
            jobs=instance.get_dynamic_partitions(partitions.JOBS),
            settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
            retrainings=True,  # a person has given this very job a schedule, whatever its name is
        )
        if job not in finished:
            yield dg.SkipReason(f"Job {job} has not finished all of its rounds, or is archived.")
            return
        moment = context.scheduled_execution_time.astimezone(ZoneInfo(schedule.timezone))
        name = retraining_name(job, f"{moment:%Y%m%d%H%M}")
        one = Retraining(name, job, [f"schedule at {moment:%Y-%m-%d %H:%M}"], f"{moment:%Y%m}", budget)
        refusal = order_within_budget(one, coordinator)
        if refusal:
            yield dg.SkipReason(refusal)
            return
        requests = retraining_requests(name, job, finished[job])
        instance.add_dynamic_partitions(partitions.ROUNDS, [str(one.partition_key) for one in requests])
        yield from requests

    return retraining
