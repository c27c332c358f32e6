"""Why a job is ordered again: its source has changed, a model was promoted, or another job has finished."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from assets import partitions
from assets.recorded.source_version import opened_source
from atlas.data.fingerprint import source_fingerprint
from atlas.errors import AtlasError, DataError
from chain_bridge.client.messages import RegisteredModel
from resources.coordinator import CoordinatorResource
from resources.errors import JobNotFound
from resources.jobs.automation import JobAutomation

FirstSeen = dict[str, list[str]]
"""What the first look found, where no record shows what was known before; part of the sensor's cursor."""


@dataclass(frozen=True)
class Surroundings:
    """Where the state of jobs is recorded."""

    instance: dg.DagsterInstance
    coordinator: CoordinatorResource
    finished: Mapping[str, int]
    """The number of rounds of each finished job."""
    models: Callable[[str], Sequence[RegisteredModel]]
    """Returns the versions of a model's name on chain; raises `AtlasError` if the chain cannot be read."""

    def opened(self, job: str) -> list[str]:
        """A job and those of its retrainings that were opened, the newest last."""
        known = {row.name for row in self.coordinator.registry.jobs()}
        return [job, *(one.name for one in self.coordinator.retrainings.of(job) if one.name in known)]


def find_causes(
    automation: JobAutomation, newest: str, seen: FirstSeen, around: Surroundings
) -> tuple[list[str], list[str]]:
    """The causes to order a job again, and the reasons why some cannot be determined.

    `newest` is the job's newest retraining, or the job. `seen` is changed.
    """
    found: list[str] = []
    failures: list[str] = []
    looks: list[Callable[[], list[str]]] = []
    if automation.on_new_data:
        looks.append(lambda: _new_data(newest, seen, around))
    if (base := automation.on_new_base) is not None:
        looks.append(lambda: _promoted(base, seen, around))
    if (other := automation.after) is not None:
        looks.append(lambda: _finished(other, newest, around))
    for look in looks:
        try:
            found += look()
        except AtlasError as error:
            failures.append(str(error))
    return found, failures


def _new_data(newest: str, seen: FirstSeen, around: Surroundings) -> list[str]:
    """A cause if the source has another version than the one that `newest` was read from.

    If that version was not recorded, the first look takes its place.
    """
    opened = opened_source(around.instance, newest)
    if opened is None:
        raise DataError(f"No version of the source of {newest} is recorded.")
    now = source_fingerprint(opened.spec, around.coordinator.home.root / "cache")
    if now is None:
        return []
    known = opened.version or seen.setdefault(f"source of {newest}", [now])[0]
    return [] if now == known else [f"data {now} after {newest}"]


def _promoted(base: str, seen: FirstSeen, around: Surroundings) -> list[str]:
    """A cause for each model of `base` and its retrainings that was promoted since the first look."""
    models = [model for name in around.opened(base) for model in around.models(name)]
    promoted = [f"model {one.name} {one.version} promoted" for one in models if one.status == "promoted"]
    known = seen.setdefault(f"models of {base}", promoted)
    return [one for one in promoted if one not in known]


def _finished(other: str, newest: str, around: Surroundings) -> list[str]:
    """A cause if `other`, or its newest finished retraining, has finished since `newest` was opened."""
    if around.coordinator.registry.job(other) is None:
        raise JobNotFound(f"The job {other!r}, after which it is ordered, was not opened here.")
    names = [name for name in around.opened(other) if name in around.finished]
    if not names:
        return []
    last = names[-1]
    opened = _first_time("base_checkpoint", partitions.round_key(newest, 1), around.instance)
    settled = _first_time("reward_settlement", partitions.round_key(last, around.finished[last]), around.instance)
    return [f"end of {last}"] if opened is not None and settled is not None and settled > opened else []


def _first_time(asset: str, key: str, instance: dg.DagsterInstance) -> float | None:
    """When a partition was materialized first, in Unix seconds; a repeated round is materialized again."""
    where = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[key])
    records = instance.fetch_materializations(where, limit=1, ascending=True).records
    return records[0].timestamp if records else None
