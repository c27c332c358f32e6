"""Where a round ends."""

import dagster as dg

from assets import partitions, tables
from assets.base_checkpoint import base_checkpoint
from assets.recorded import recorded_cid
from assets.round_manifest import round_manifest
from atlas.content.store import get_document
from atlas.manifests import Checkpoint, RoundManifest
from resources import rounds
from resources.content import ContentResource


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[base_checkpoint, round_manifest],
    group_name="federated",
    kinds={"huggingface", "safetensors"},
)
def aggregated_checkpoint(context: dg.AssetExecutionContext, content: ContentResource) -> dg.MaterializeResult:
    """The checkpoint that a round ends with; anyone can recompute its bytes from the round's manifest."""
    manifest = get_document(content.store, recorded_cid(context, "round_manifest"), RoundManifest)
    cid = rounds.aggregate(manifest, content.store)
    checkpoint = get_document(content.store, cid, Checkpoint)
    return dg.MaterializeResult(
        metadata={
            "cid": cid,
            "adapter": checkpoint.adapter,
            "adapter_bytes": content.store.stat(checkpoint.adapter or "").size,
            "manifest": manifest.cid,
            "parent": manifest.base,
            "strategy": manifest.strategy,
            "updates": tables.table(
                {"shard": update.shard, "weight": update.weight, "adapter": update.adapter}
                for update in manifest.updates
            ),
        },
        data_version=dg.DataVersion(cid),
    )
