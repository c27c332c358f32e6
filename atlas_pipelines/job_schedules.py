"""One schedule in Dagster for each job that has one: it orders the job again, on data that is read again."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from atlas_pipelines.campaign import finished_jobs, orders_in_month, retraining_name
from atlas_pipelines.jobs import federated_round, unattended_round
from resources.jobs.registry import JobRegistry
from resources.jobs.schedules import JobSchedule, JobSchedules

Ticks = Iterator[dg.RunRequest | dg.SkipReason]


def job_schedules(kept: JobSchedules, registry: JobRegistry) -> list[dg.ScheduleDefinition]:
    """The schedules of all jobs, as they are now."""
    return [_schedule(job, budget, schedule, registry) for job, (budget, schedule) in kept.all().items()]


def schedule_name(job: str) -> str:
    """The name of a job's schedule in Dagster, which allows no dashes: `retrain_my_job`."""
    return f"retrain_{job.replace('-', '_')}"


def _schedule(job: str, budget: int, schedule: JobSchedule, registry: JobRegistry) -> dg.ScheduleDefinition:
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
        rounds = instance.get_dynamic_partitions(partitions.ROUNDS)
        finished = finished_jobs(
            rounds=rounds,
            jobs=instance.get_dynamic_partitions(partitions.JOBS),
            settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
            retrainings=True,  # a person has given this very job a schedule, whatever its name is
        )
        if job not in finished:
            yield dg.SkipReason(f"Job {job} has not finished all of its rounds, or is archived.")
            return
        moment = context.scheduled_execution_time.astimezone(ZoneInfo(schedule.timezone))
        name = retraining_name(job, f"{moment:%Y%m%d%H%M}")
        opened = [row.name for row in registry.jobs()]  # archived jobs have no rounds in the instance
        spent = budget * len(orders_in_month(job, f"{moment:%Y%m}", rounds, opened) - {name})
        if limit is not None and spent + budget > limit:
            yield dg.SkipReason(
                f"The orders of {moment:%B %Y} have escrowed {spent} micro-units; with {budget} more they would "
                f"exceed the monthly budget of {limit}. Raise it with: atlas job schedule {job} --monthly-budget N"
            )
            return
        keys = [partitions.round_key(name, number) for number in range(1, finished[job] + 1)]
        instance.add_dynamic_partitions(partitions.ROUNDS, keys)
        config = dg.RunConfig(ops={"base_checkpoint": LaunchConfig(repeat=job)})
        yield from (unattended_round(key, config) for key in keys)

    return retraining
