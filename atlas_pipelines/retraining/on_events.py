"""The sensor that orders jobs again on the events in the `automation` of their files."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import dagster as dg

from assets import partitions
from assets.plain_errors import plain_errors
from assets.recorded.records import recorded_version
from assets.recorded.run_tags import JOB_TAG
from atlas.content.places.open import open_kept_store
from atlas.errors import AtlasError
from atlas.ids import Cid
from atlas_pipelines.campaign import finished_jobs, order_for
from atlas_pipelines.jobs import federated_round, retraining_requests
from atlas_pipelines.retraining.causes import FirstSeen, Surroundings, find_causes
from atlas_pipelines.retraining.monthly_budget import order_within_budget
from atlas_pipelines.sensors import WORKING
from chain_bridge.client.messages import RegisteredModel
from chain_bridge.ledger import Ledger
from resources.coordinator import CoordinatorResource
from resources.errors import CoordinatorError
from resources.jobs.automation import JobAutomation
from resources.jobs.retrainings import Retraining
from resources.rounds.evaluating import recorded_verdict


@dg.sensor(
    job=federated_round,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Orders a finished job again, as NAME-v and eight hex digits, on the events in the `automation` of its file: "
        "new data, a promoted model, or the end of another job. The new job reads its data again, trains from the "
        "untrained adapter, and is paid from the operator's account. Jobs without `automation` are not ordered. Change "
        "it with: atlas job schedule NAME"
    ),
)
@plain_errors
def automatic_retraining(
    context: dg.SensorEvaluationContext, coordinator: CoordinatorResource
) -> dg.SensorResult | dg.SkipReason:
    """One run request per round of each new order."""
    return order_jobs_again(context, coordinator, dt.datetime.now(dt.UTC))


def order_jobs_again(
    context: dg.SensorEvaluationContext, coordinator: CoordinatorResource, now: dt.datetime
) -> dg.SensorResult | dg.SkipReason:
    """The result of the sensor at a time; a skipped tick has one reason per job."""
    instance, kept = context.instance, coordinator.automations.all()
    finished = finished_jobs(
        rounds=instance.get_dynamic_partitions(partitions.ROUNDS),
        jobs=instance.get_dynamic_partitions(partitions.JOBS),
        settled=instance.get_materialized_partitions(dg.AssetKey("reward_settlement")),
        retrainings=True,
    )
    seen: dict[str, FirstSeen] = {job: of for job, of in json.loads(context.cursor or "{}").items() if job in kept}
    requests: list[dg.RunRequest] = []
    reasons: list[str] = []
    with _chain(coordinator) as ledger:
        around = Surroundings(instance, coordinator, finished, lambda name: _models(name, ledger))
        for job, (budget, automation) in kept.items():
            try:
                requests += _order(job, budget, automation, seen.setdefault(job, {}), around, now)
            except AtlasError as error:  # one job must not stop the others
                reasons.append(f"{job}: {error}")
    cursor = json.dumps(seen, sort_keys=True)
    if not requests:
        context.update_cursor(cursor)
        return dg.SkipReason("\n".join(reasons) or "No job has an automation.")
    for reason in reasons:
        context.log.info(reason)
    keys = [str(one.partition_key) for one in requests]
    return dg.SensorResult(
        requests, cursor=cursor, dynamic_partitions_requests=[partitions.rounds.build_add_request(keys)]
    )


class NotOrdered(AtlasError):
    """A job is not ordered again now."""


def _order(
    job: str, budget: int, automation: JobAutomation, seen: FirstSeen, around: Surroundings, now: dt.datetime
) -> list[dg.RunRequest]:
    """The rounds of a job's retraining; raises `NotOrdered`, or the `AtlasError` because of which it is not known."""
    coordinator = around.coordinator
    orders, newest = coordinator.retrainings.of(job), around.opened(job)[-1]
    causes, failures = find_causes(automation, newest, seen, around)
    if job not in around.finished:
        raise NotOrdered("It has not finished all of its rounds, or is archived.")
    _refuse_unfinished(newest, orders, around)
    _refuse_failed_check(newest, around.finished[job], around)
    earlier = [one for one in orders if set(one.causes) & set(causes)]
    name = order_for(job, causes, earlier, [one.name for one in earlier if _launched(one.name, around)])
    if name is None:
        raise NotOrdered(" ".join(failures) or "Nothing has happened since it was last ordered.")
    schedule = coordinator.schedules.get(job)
    month = now.astimezone(ZoneInfo(schedule[1].timezone) if schedule else dt.UTC).strftime("%Y%m")
    refusal = order_within_budget(Retraining(name, job, causes, month, budget), coordinator)
    if refusal is not None:
        raise NotOrdered(refusal)
    return retraining_requests(name, job, around.finished[job])


def _refuse_unfinished(newest: str, orders: Sequence[Retraining], around: Surroundings) -> None:
    """Raise `NotOrdered` while the newest retraining has rounds left, or a run of any retraining is in progress."""
    jobs = around.instance.get_dynamic_partitions(partitions.JOBS)
    if newest in jobs and newest not in around.finished:
        raise NotOrdered(
            f"Its retraining {newest} has rounds left. Launch them, or end it with `atlas job cancel {newest}` and "
            f"`atlas job archive {newest}`."
        )
    names = [one.name for one in orders]
    working = around.instance.get_runs(dg.RunsFilter(tags={JOB_TAG: names}, statuses=WORKING), limit=1) if names else []
    if working:
        raise NotOrdered(f"A run of its retraining {working[0].tags[JOB_TAG]} is in progress.")


def _refuse_failed_check(newest: str, rounds: int, around: Surroundings) -> None:
    """Raise `NotOrdered` if the last checkpoint of `newest` failed `no_worse_than_base` and nobody has decided on it.

    A person decides with `atlas model promote NAME VERSION --worse` or `atlas model deprecate NAME VERSION`.
    """
    coordinator = around.coordinator
    row = coordinator.registry.job(newest)
    cid = recorded_version(around.instance, "aggregated_checkpoint", partitions.round_key(newest, rounds))
    if row is None or cid is None:
        return
    known = coordinator.known_addresses
    store = open_kept_store(known.content if known else coordinator.home.content, coordinator.home.content)
    verdict = recorded_verdict(Cid(cid), row.round(rounds), coordinator.registry, store)
    if verdict is None or not verdict.failed:
        return
    if all(model.status == "registered" for model in around.models(newest) if model.version == rounds):
        raise NotOrdered(
            f"Version {rounds} of {newest} failed the check no_worse_than_base: {verdict.worse}. Decide on it with: "
            f"atlas model promote {newest} {rounds} --worse, or atlas model deprecate {newest} {rounds}"
        )


def _launched(name: str, around: Surroundings) -> bool:
    """Whether a retraining has a run, or is open."""
    if around.coordinator.registry.job(name) is not None:
        return True
    return bool(around.instance.get_runs(dg.RunsFilter(tags={JOB_TAG: name}), limit=1))


@contextmanager
def _chain(coordinator: CoordinatorResource) -> Iterator[Ledger | None]:
    """The contract, for queries; None if no network is configured and the local one does not run."""
    known = coordinator.known_addresses
    if known is None:
        yield None
        return
    with Ledger(known.network) as ledger:  # connected on first use
        yield ledger


def _models(name: str, ledger: Ledger | None) -> Sequence[RegisteredModel]:
    if ledger is None:
        raise CoordinatorError(f"The network does not run, so the versions of model {name} are not known.")
    return ledger.models(name)
