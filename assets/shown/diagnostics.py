"""A round's diagnostics for the UI: numbers to compare across rounds, and tables."""

import dagster as dg

from assets.shown import tables
from atlas.documents.round_diagnostics import RoundDiagnostics


def diagnostics_metadata(diagnostics: RoundDiagnostics) -> dict[str, dg.MetadataValue]:
    """The diagnostics as metadata of the checkpoint that the round ends with."""
    facts: dict[str, dg.MetadataValue] = {
        "diagnostics": dg.MetadataValue.text(diagnostics.cid),
        "change_norm": dg.MetadataValue.float(diagnostics.norm),
        "naive_residual": dg.MetadataValue.float(diagnostics.residual),
        "effective_rank": dg.MetadataValue.float(diagnostics.effective_rank),
        "effective_ranks": tables.table(
            {"module": module, "effective_rank": rank} for module, rank in sorted(diagnostics.effective_ranks.items())
        ),
    }
    if diagnostics.cosines is not None:
        facts["median_cosine"] = dg.MetadataValue.float(diagnostics.cosines.median)
        facts["cosines"] = _cosines(diagnostics)
    return facts


def _cosines(diagnostics: RoundDiagnostics) -> dg.MetadataValue:
    """The cosine of every pair of updates; for a large round, only the statistics of the cosines."""
    if diagnostics.cosine_matrix is None or diagnostics.cosines is None:
        return tables.table([diagnostics.cosines.model_dump()] if diagnostics.cosines else [])
    shards = [one.shard for one in diagnostics.updates]
    return tables.table(
        {"shard": shard, **dict(zip(shards, row, strict=True))}
        for shard, row in zip(shards, diagnostics.cosine_matrix, strict=True)
    )
