"""The asset `base_checkpoint`: the checkpoint that a round starts from."""

from collections.abc import Iterator

import dagster as dg
import yaml

from assets import partitions
from assets.dataset import dataset_event, shard_events
from assets.fleet_run.progress import RoundProgress
from assets.launch.begin_round import begin_round
from assets.launch.find_job import check_round_exists, find_order, hold_round, register_partitions
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from assets.recorded import newest_record, unless_recorded
from assets.shown import graph, links
from assets.source_version import source_facts, source_version
from atlas.content.verified import VerifiedStore
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.open_job import OpenJob, open_job, refuse_ended_job
from resources.ledger import LedgerResource


@dg.asset(
    partitions_def=partitions.rounds,
    group_name="federated",
    kinds={"safetensors"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_WRITTEN,
)
@plain_errors
def base_checkpoint(
    context: dg.AssetExecutionContext,
    config: LaunchConfig,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[RoundProgress],
) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
    """The checkpoint that a round starts from: the untrained adapter, or the checkpoint of the previous round."""
    name, number = begin_round(context, coordinator)
    store = VerifiedStore(content.store)
    spec = find_order(name, config, coordinator.registry, store)
    check_round_exists(spec, number)
    version = None  # of the source; determined before its rows are read
    if coordinator.registry.job(name) is None:
        version = source_version(spec.dataset, coordinator.home.root / "cache", context.log)
    job = open_job(
        spec, coordinator.home, store, coordinator.registry, ledger.client, progress.note, on_reading=progress.passing
    )
    refuse_ended_job(job, number, ledger.client)
    register_partitions(context.instance, job)
    base = hold_round(job, number, store, coordinator, ledger).base
    read = dataset_event(name, job.dataset, content.link, source_facts(spec.dataset, version))
    for event in (read, *shard_events(name, job.dataset, content.link)):
        yield from unless_recorded(context.instance, event)
    yield dg.MaterializeResult(
        metadata={
            "cid": base,
            "content": content.link(base),
            **_job_facts(job),
            "order": dg.MetadataValue.md(
                f"```yaml\n{yaml.safe_dump(job.spec.model_dump(mode='json'), sort_keys=False)}```"
            ),
            **_parent_facts(context.instance, name, number),
        },
        data_version=dg.DataVersion(base),
    )


def _job_facts(job: OpenJob) -> dict[str, str | int]:
    return {
        "job": job.name,
        "job_on_chain": job.job_id,
        "contract": job.contract,
        "spec": job.spec_cid,
        "model": job.model_cid,
        "dataset": job.dataset_cid,
    }


def _parent_facts(instance: dg.DagsterInstance, name: str, number: int) -> dict[str, dg.MetadataValue]:
    """Links to the previous round. The asset graph cannot show them, because it may not contain a cycle."""
    if number == 1:
        return {}
    parent = partitions.round_key(name, number - 1)
    facts: dict[str, dg.MetadataValue] = {
        "parent": dg.MetadataValue.url(links.partition_page("aggregated_checkpoint", parent)),
        "parent_round": dg.MetadataValue.text(parent),
    }
    record = newest_record(instance, "aggregated_checkpoint", parent)
    return {**facts, "parent_run": dg.MetadataValue.dagster_run(record.run_id)} if record else facts
