"""The asset `aggregated_checkpoint`: the checkpoint that a round ends with."""

import dagster as dg

from assets import partitions
from assets.base_checkpoint import base_checkpoint
from assets.plain_errors import plain_errors
from assets.recorded import recorded_cid
from assets.round_manifest import round_manifest
from assets.shown import tables
from assets.shown.diagnostics import diagnostics_metadata
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, DatasetManifest, RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import get_document, put_document
from resources.content import ContentResource
from resources.errors import JobNotFound
from resources.fleet import FleetResource
from resources.jobs.registry import JobRegistry
from resources.rounds import steps as rounds
from resources.rounds.evidence import receipt_of


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[base_checkpoint, round_manifest],
    group_name="federated",
    kinds={"huggingface", "safetensors"},
)
@plain_errors
def aggregated_checkpoint(
    context: dg.AssetExecutionContext, fleet: FleetResource, content: ContentResource
) -> dg.MaterializeResult:
    """The checkpoint that a round ends with; anyone can recompute its bytes from the round's manifest."""
    from atlas.rounds.diagnose import diagnose_round  # here, so that the code location loads without numpy

    manifest = get_document(content.store, recorded_cid(context, "round_manifest"), RoundManifest)
    cid = rounds.aggregate(manifest, content.store)
    checkpoint = get_document(content.store, cid, Checkpoint)
    diagnostics = diagnose_round(manifest, content.store)
    put_document(content.store, diagnostics)
    return dg.MaterializeResult(
        metadata={
            "cid": cid,
            "content": content.link(cid),
            "adapter": checkpoint.adapter,
            "adapter_bytes": content.store.stat(checkpoint.adapter).size,
            "manifest": manifest.cid,
            "parent": manifest.base,
            "strategy": manifest.strategy,
            "merged": len(checkpoint.merged),
            "optimizer": checkpoint.optimizer or "none",
            "updates": _updates(context.partition_key, diagnostics, fleet.registry, content.store),
            **diagnostics_metadata(diagnostics),
        },
        data_version=dg.DataVersion(cid),
    )


def _updates(key: str, diagnostics: RoundDiagnostics, registry: JobRegistry, store: ContentStore) -> dg.MetadataValue:
    """A table of every attempt of the round, from the registry alone; the chain is not queried."""
    name, number = partitions.parse_round_key(key)
    row = registry.job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    attempts = registry.attempts(row.round(number))
    receipts = {one.receipt_cid: receipt_of(one.receipt_cid, store) for one in attempts if one.receipt_cid}
    return tables.updates_table(attempts, receipts, get_document(store, row.dataset_cid, DatasetManifest), diagnostics)
