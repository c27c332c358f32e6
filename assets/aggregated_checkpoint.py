"""The asset `aggregated_checkpoint`: the checkpoint that a round ends with."""

import dagster as dg

from assets import partitions
from assets.base_checkpoint import base_checkpoint
from assets.launch.find_job import recorded_round
from assets.plain_errors import plain_errors
from assets.recorded.inputs import round_inputs
from assets.recorded.records import recorded_cid
from assets.round_checks import UPDATE_NORM_DRIFT, norm_drift_result
from assets.round_manifest import round_manifest
from assets.shown import graph, links, tables
from assets.shown.diagnostics import diagnostics_metadata
from atlas.documents.manifests import RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import get_document
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.ledger import LedgerResource
from resources.rounds.evidence import receipt_of
from resources.rounds.round import Round


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[base_checkpoint, round_manifest],
    check_specs=[UPDATE_NORM_DRIFT],
    group_name="federated",
    kinds={"huggingface", "safetensors"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_UNUSED,
    freshness_policy=graph.MONTHLY,
)
@plain_errors
def aggregated_checkpoint(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult:
    """The checkpoint that a round ends with; anyone can recompute its bytes from the round's manifest."""
    round_ = recorded_round(context.partition_key, coordinator, content, ledger)
    manifest = get_document(round_.store, recorded_cid(context, "round_manifest"), RoundManifest)
    checkpoint = round_.aggregate(manifest)
    diagnostics = round_.diagnose(manifest)
    cid = checkpoint.cid
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
            "verify": links.command(f"atlas verify {cid}"),
            "export": links.command(f"atlas model export {cid} ./{context.partition_key}"),
            **_updates(round_, diagnostics),
            **diagnostics_metadata(diagnostics),
        },
        data_version=dg.DataVersion(cid),
        tags=round_inputs(context, "base_checkpoint", "round_manifest"),
        check_results=[norm_drift_result(context.instance, context.partition_key, diagnostics)],
    )


def _updates(round_: Round, diagnostics: RoundDiagnostics) -> dict[str, dg.MetadataValue]:
    """Tables of every attempt of the round, from the registry alone; the chain is not queried."""
    attempts = round_.attempts
    receipts = {one.receipt_cid: receipt_of(one.receipt_cid, round_.store) for one in attempts if one.receipt_cid}
    return tables.update_tables(attempts, receipts, round_.job.dataset, diagnostics)
