"""From a partition key to its job: loaded by name, or ordered with the launchpad's configuration."""

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from atlas.counts import counted
from atlas.documents.stored import get_document
from atlas.errors import SpecError
from atlas.spec.job import JobSpec
from resources.content import ContentResource
from resources.errors import JobNotFound
from resources.fleet import FleetResource
from resources.jobs.open_job import OpenJob, load_job
from resources.ledger import LedgerResource


def find_order(name: str, config: LaunchConfig, fleet: FleetResource, content: ContentResource) -> JobSpec:
    """The order under this name: the launchpad's, or that of the opened job if the launchpad was left untouched."""
    if config.repeat is not None:
        repeated = _recorded_spec(config.repeat, fleet, content)
        aggregation = repeated.robust_aggregation.model_dump(mode="json")
        return JobSpec.from_mapping({**repeated.model_dump(mode="json"), "name": name, "aggregation": aggregation})
    if config.is_default() and fleet.registry.job(name) is not None:
        return _recorded_spec(name, fleet, content)
    return config.order(name)


def find_round(key: str, fleet: FleetResource, content: ContentResource, ledger: LedgerResource) -> tuple[OpenJob, int]:
    """The job and the number of a round; its `base_checkpoint` must have opened the job."""
    name, number = partitions.parse_round_key(key)
    return load_job(name, content.store, fleet.registry, ledger.client.contract), number


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


def _recorded_spec(name: str, fleet: FleetResource, content: ContentResource) -> JobSpec:
    row = fleet.registry.job(name)
    if row is None:
        raise JobNotFound(
            f"No job {name!r} was opened here, so it cannot be repeated. List the jobs with: atlas job ls"
        )
    return get_document(content.store, row.spec_cid, JobSpec)
