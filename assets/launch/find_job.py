"""From a partition key to its job: loaded by name, or ordered with the launchpad's configuration."""

from collections.abc import Callable

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from atlas.content.store import ContentStore
from atlas.content.verified import VerifiedStore
from atlas.counts import counted
from atlas.documents.stored import get_document
from atlas.errors import SpecError
from atlas.spec.job import JobSpec
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.errors import JobNotFound
from resources.jobs.opened import OpenJob, recorded_job, refuse_other_contract
from resources.jobs.registry import JobRegistry
from resources.ledger import LedgerResource
from resources.rounds.round import Round


def find_order(
    name: str, config: LaunchConfig, registry: JobRegistry, store: ContentStore, warn: Callable[[str], None]
) -> JobSpec:
    """The order under this name: the launchpad's, or that of the opened job if the launchpad was left untouched.

    `warn` gets a sentence if the launchpad's order has another name; the name in the partition replaces it.
    """
    if config.repeat is not None:
        repeated = _recorded_spec(config.repeat, registry, store)
        aggregation = repeated.robust_aggregation.model_dump(mode="json")
        return JobSpec.from_mapping({**repeated.model_dump(mode="json"), "name": name, "aggregation": aggregation})
    if config.is_default() and registry.job(name) is not None:
        return _recorded_spec(name, registry, store)
    written = config.written_name()
    if written not in (None, name):
        warn(
            f"{config.spec} names the job {written!r}, but the partition names it {name!r}. It is ordered as {name!r}."
        )
    return config.order(name)


def find_round(key: str, coordinator: CoordinatorResource, content: ContentResource, ledger: LedgerResource) -> Round:
    """The round of a partition; its `base_checkpoint` must have opened the job. Held for the other steps of the run.

    Raises `JobNotFound`, and `OtherContract` when the job is on another contract.
    """
    found = recorded_round(key, coordinator, content, ledger)
    refuse_other_contract(found.job, ledger.client.contract)
    return found


def recorded_round(
    key: str, coordinator: CoordinatorResource, content: ContentResource, ledger: LedgerResource
) -> Round:
    """The round of a partition, as `find_round` returns it, for a step that works while the chain does not answer."""
    name, number = partitions.parse_round_key(key)
    held = coordinator.rounds.get(name, number)
    if held is not None:
        return held
    store = VerifiedStore(content.store)
    return hold_round(recorded_job(name, store, coordinator.registry), number, store, coordinator, ledger)


def hold_round(
    job: OpenJob, number: int, store: VerifiedStore, coordinator: CoordinatorResource, ledger: LedgerResource
) -> Round:
    """Make the round of an open job, and hold it for the other steps of the run."""
    return coordinator.rounds.hold(
        Round(job, number, coordinator.home, store, coordinator.registry, lambda: ledger.client)
    )


def check_round_exists(spec: JobSpec, number: int) -> None:
    """Raise `SpecError` when the job has fewer than `number` rounds."""
    if number > spec.rounds:
        raise SpecError(f"Job {spec.name!r} has {counted(spec.rounds, 'round')}, so there is no round {number}.")


def register_partitions(instance: dg.DagsterInstance, job: OpenJob) -> None:
    """Add a job, its rounds and its shards to the partitions that the UI offers. Adding them again changes nothing."""
    rounds = [partitions.round_key(job.name, number) for number in range(1, job.spec.rounds + 1)]
    shards = [partitions.shard_key(job.name, shard.key) for shard in job.dataset.shards]
    instance.add_dynamic_partitions(partitions.JOBS, [job.name])
    instance.add_dynamic_partitions(partitions.ROUNDS, rounds)
    instance.add_dynamic_partitions(partitions.SHARDS, shards)


def _recorded_spec(name: str, registry: JobRegistry, store: ContentStore) -> JobSpec:
    row = registry.job(name)
    if row is None:
        raise JobNotFound(
            f"No job {name!r} was opened here, so it cannot be repeated. List the jobs with: atlas job ls"
        )
    return get_document(store, row.spec_cid, JobSpec)
