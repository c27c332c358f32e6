"""The asset `base_checkpoint`: the checkpoint that a round starts from."""

from collections.abc import Iterator

import dagster as dg

from assets import partitions
from assets.fleet_run.progress import RoundProgress
from assets.launch.begin_round import begin_round
from assets.launch.find_job import check_round_exists, find_order, hold_round
from assets.launch.launch_config import LaunchConfig
from assets.open_order import job_facts, open_order
from assets.plain_errors import plain_errors
from assets.recorded.records import newest_record
from assets.shown import graph, links
from atlas.content.verified import VerifiedStore
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.retrainings import Retraining
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
    spec = find_order(name, config, coordinator.registry, store, context.log.warning)
    check_round_exists(spec, number)
    rules = config.rules() if coordinator.registry.job(name) is None else None
    job, events = open_order(context, spec, number, store, coordinator, content, ledger, progress, rules)
    if config.repeat is not None:
        coordinator.retrainings.record(Retraining(name, config.repeat))
    base = hold_round(job, number, store, coordinator, ledger).base
    yield from events
    yield dg.MaterializeResult(
        metadata={
            "cid": base,
            "content": content.link(base),
            **job_facts(job),
            **_parent_facts(context.instance, name, number),
        },
        data_version=dg.DataVersion(base),
    )


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
