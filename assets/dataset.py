"""The data of a job: a manifest of content-addressed shards, and the shards themselves."""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from assets import partitions
from assets.fleet_run.progress import RoundProgress
from assets.launch.find_job import find_order
from assets.launch.launch_config import LaunchConfig
from assets.plain_errors import plain_errors
from assets.recorded.records import DATA_VERSION, INPUT_VERSION
from assets.recorded.source_version import source_facts, source_version
from assets.shown import graph, tables
from atlas.data.warnings import dataset_warnings
from atlas.documents.manifests import DatasetManifest
from atlas.ids import Cid
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.open_job import read_dataset
from resources.ledger import LedgerResource

Link = Callable[[Cid], dg.MetadataValue]
"""Returns a link to the content with the given CID."""

dataset_shard = dg.AssetSpec(
    "dataset_shard",
    description="One content-addressed slice of a dataset, which one node trains on in each round. `dataset` and "
    "`base_checkpoint` report it.",
    deps=["dataset"],
    partitions_def=partitions.shards,
    group_name="data",
    kinds={"jsonl"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_READ,
)


@dg.asset(
    partitions_def=partitions.jobs,
    group_name="data",
    kinds={"json"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_READ,
    freshness_policy=graph.MONTHLY,
)
@plain_errors
def dataset(
    context: dg.AssetExecutionContext,
    config: LaunchConfig,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[RoundProgress],
) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
    """The manifest of a job's data: its shards, and the rows that are held out for evaluation."""
    name = context.partition_key
    spec = find_order(name, config, coordinator.registry, content.store, context.log.warning)
    version = source_version(spec.dataset, coordinator.home.root / "cache", context.log)
    manifest = read_dataset(spec, coordinator.home, content.store, ledger.client, progress.note, progress.passing)
    shards = [partitions.shard_key(name, shard.key) for shard in manifest.shards]
    context.instance.add_dynamic_partitions(partitions.SHARDS, shards)
    yield from shard_events(name, manifest, content.link)
    yield dg.MaterializeResult(
        metadata={**dataset_metadata(manifest, content.link), **source_facts(spec.dataset, version)},
        data_version=dg.DataVersion(manifest.cid),
    )


def dataset_event(
    job: str, manifest: DatasetManifest, link: Link, source: Mapping[str, dg.MetadataValue]
) -> dg.AssetMaterialization:
    """The materialization of `dataset`, for the step that opens a job and writes its dataset as well."""
    metadata = {**dataset_metadata(manifest, link), **source}
    return dg.AssetMaterialization("dataset", partition=job, metadata=metadata, tags={DATA_VERSION: manifest.cid})


def shard_events(job: str, manifest: DatasetManifest, link: Link) -> Iterator[dg.AssetMaterialization]:
    """One materialization of `dataset_shard` for each shard."""
    dataset_cid = manifest.cid  # computed anew by every access
    for shard in manifest.shards:
        yield dg.AssetMaterialization(
            "dataset_shard",
            partition=partitions.shard_key(job, shard.key),
            metadata={
                "cid": shard.cid,
                "content": link(shard.cid),
                **tables.shard_facts(shard),
                "dataset": dataset_cid,
            },
            tags={DATA_VERSION: shard.cid, f"{INPUT_VERSION}/dataset": dataset_cid},
        )


def dataset_metadata(manifest: DatasetManifest, link: Link) -> dict[str, dg.MetadataValue]:
    """The metadata of `dataset`: CIDs, numbers of rows, warnings, and the table of shards."""
    return {
        "cid": dg.MetadataValue.text(manifest.cid),
        "content": link(manifest.cid),
        "source": dg.MetadataValue.text(manifest.source),
        "rows": dg.MetadataValue.int(sum(shard.rows for shard in manifest.shards)),
        "held_out_rows": dg.MetadataValue.int(manifest.holdout.rows),
        "held_out": dg.MetadataValue.text(manifest.holdout.cid),
        "skipped_rows": dg.MetadataValue.int(manifest.skipped_rows),
        "repeated_rows": dg.MetadataValue.int(manifest.repeated_rows),
        **_warnings(manifest),
        **tables.shard_tables(manifest.shards),
    }


def _warnings(manifest: DatasetManifest) -> dict[str, dg.MetadataValue]:
    found = dataset_warnings(manifest)
    return {"warnings": dg.MetadataValue.md("\n".join(f"- {warning}" for warning in found))} if found else {}
