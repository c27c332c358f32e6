"""A round's diagnostics for the UI: numbers to compare across rounds, and tables."""

from collections.abc import Sequence
from statistics import median_low

import dagster as dg

from assets.shown import tables
from atlas.documents.round_diagnostics import RoundDiagnostics
from resources.rounds.checks.norm_drift import median_norm

MEDIAN_NORM = "median_update_norm"
"""The metadata that the check `update_norm_drift` of later rounds reads."""
MOST_COLUMNS = 8
"""Shards whose cosines fit into one table of the page."""


def diagnostics_metadata(diagnostics: RoundDiagnostics) -> dict[str, dg.MetadataValue]:
    """The diagnostics as metadata of the checkpoint that the round ends with."""
    facts: dict[str, dg.MetadataValue] = {
        "diagnostics": dg.MetadataValue.text(diagnostics.cid),
        MEDIAN_NORM: dg.MetadataValue.float(tables.rounded(median_norm(diagnostics))),
        "change_norm": dg.MetadataValue.float(tables.rounded(diagnostics.norm)),
        "naive_residual": dg.MetadataValue.float(tables.rounded(diagnostics.residual)),
        "effective_rank": dg.MetadataValue.float(tables.rounded(diagnostics.effective_rank)),
        "effective_ranks": tables.table(
            {"module": module, "effective_rank": tables.rounded(rank)}
            for module, rank in sorted(diagnostics.effective_ranks.items())
        ),
    }
    if diagnostics.cosines is not None:
        facts["median_cosine"] = dg.MetadataValue.float(tables.rounded(diagnostics.cosines.median))
        facts["cosines"] = _cosines(diagnostics)
    return facts


def _cosines(diagnostics: RoundDiagnostics) -> dg.MetadataValue:
    """The cosine of every pair of updates; of more than `MOST_COLUMNS`, each update's cosines with the others.

    For a large round, whose diagnostics have no matrix, only the statistics of the cosines.
    """
    if diagnostics.cosine_matrix is None:
        spread = diagnostics.cosines.model_dump() if diagnostics.cosines else {}
        return tables.table([{name: tables.rounded(value) for name, value in spread.items()}] if spread else [])
    shards = [one.shard for one in diagnostics.updates]
    matrix = {
        shard: list(map(tables.rounded, row)) for shard, row in zip(shards, diagnostics.cosine_matrix, strict=True)
    }
    if len(shards) <= MOST_COLUMNS:
        return tables.table({"shard": shard, **dict(zip(shards, row, strict=True))} for shard, row in matrix.items())
    return tables.table(_with_others(shard, row, at) for at, (shard, row) in enumerate(matrix.items()))


def _with_others(shard: str, row: Sequence[float], at: int) -> dict[str, str | float]:
    others = [cosine for number, cosine in enumerate(row) if number != at]
    return {"shard": shard, "lowest": min(others), "median": median_low(others), "highest": max(others)}
