"""Tables that the Dagster UI shows: shards, updates with their verdicts, metrics, payouts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from atlas.documents.manifests import DatasetManifest, Receipt, RefusedUpdate, ShardManifest
from atlas.documents.metric_names import measures_of_the_model
from atlas.documents.round_diagnostics import Influence, RoundDiagnostics
from atlas.ids import Cid
from resources.jobs.registry import Attempt
from resources.rounds.payout_report import Payout

VERDICTS = {"assigned": "unfinished", "completed": "accepted", "refused": "refused", "lost": "lost"}
DIGITS = 4


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue:
    """Rows with equal keys as table metadata; None becomes an empty cell."""
    records = [dg.TableRecord({key: "" if cell is None else cell for key, cell in row.items()}) for row in rows]
    columns = [dg.TableColumn(name, "string") for name in (records[0].data if records else {})]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def rounded(value: float) -> float:
    """A number with `DIGITS` significant digits, for people; exact values are in the documents behind the CIDs."""
    return value if not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def shard_facts(shard: ShardManifest) -> dict[str, Any]:
    """The facts of a shard: form, rows, tokens, bytes and labels, or the node of node-local rows."""
    form = {} if shard.form == "rows" else {"form": shard.form}
    if shard.form == "node-local":
        certainty = "claimed" if shard.claimed else "trusted"
        return {**form, "node": shard.node or "", "rows": shard.rows, "rows_are": certainty}
    labels = ", ".join(f"{label} {rows}" for label, rows in sorted(shard.labels.items()))
    return {
        **form,
        "value": shard.value or "",
        "rows": shard.rows,
        "tokens": shard.size,
        "bytes": shard.bytes,
        "labels": labels,
    }


def shards_table(shards: Sequence[ShardManifest]) -> dg.MetadataValue:
    """One row per shard."""
    return table({"shard": shard.key, **shard_facts(shard), "cid": shard.cid} for shard in shards)


def updates_table(
    attempts: Sequence[Attempt],
    receipts: Mapping[Cid, Receipt],
    dataset: DatasetManifest,
    diagnostics: RoundDiagnostics | None = None,
) -> dg.MetadataValue:
    """One row per attempt at training a shard; `receipts` holds the receipts by CID.

    Once the round is aggregated, `diagnostics` give the influence of each accepted update.
    """
    influences = {one.shard: one for one in diagnostics.updates} if diagnostics else None
    return table(
        _update(attempt, receipts.get(attempt.receipt_cid or Cid("")), dataset.shards[attempt.slot], influences)
        for attempt in attempts
        if attempt.slot < len(dataset.shards)
    )


def _update(
    attempt: Attempt, receipt: Receipt | None, shard: ShardManifest, influences: Mapping[str, Influence] | None
) -> dict[str, Any]:
    excluded = attempt.state == "completed" and attempt.gate is not None
    verdict = "excluded" if excluded else VERDICTS[attempt.state]
    counted = influences.get(shard.key) if influences and verdict == "accepted" else None
    return {
        "shard": shard.key,
        "node": attempt.node_id,
        "attempt": attempt.attempt,
        "verdict": verdict,
        "rows": shard.rows,
        "loss": round(receipt.losses[-1].loss, 4) if receipt and receipt.losses else None,
        **({} if influences is None else influence_cells(counted)),
        "gate": attempt.gate,
        "reason": attempt.reason,
        "adapter": attempt.result_cid,
    }


def influence_cells(counted: Influence | None) -> dict[str, float | None]:
    """The norm of an update, its coefficient, its share of the round's change, and the cosine between the two."""
    return {
        "norm": counted.norm if counted else None,
        "coefficient": counted.coefficient if counted else None,
        "influence": counted.share if counted else None,
        "cosine": counted.cosine if counted else None,
    }


def refused_table(refused: Iterable[RefusedUpdate]) -> dg.MetadataValue:
    """One row per update that a gate kept out of a round."""
    return table(
        {
            "shard": one.shard,
            "attempt": one.attempt,
            "gate": one.gate,
            "reason": one.reason,
            "adapter": one.adapter,
        }
        for one in refused
    )


def payouts_table(payouts: Iterable[Payout]) -> dg.MetadataValue:
    """One row per node: its tasks and tokens, its score by token, and its credit."""
    return table(
        {
            "node": one.node,
            "address": one.address,
            "tasks": one.count,
            "tokens": one.tokens,
            "score": None if one.score is None else f"{one.score / 1000:.3f}",
            "basis_points": one.bps,
            "credited": one.amount,
        }
        for one in payouts
    )


def metrics_table(base: Mapping[str, float], checkpoint: Mapping[str, float]) -> dg.MetadataValue:
    """One row per metric, before and after the round."""
    return table(
        {"metric": name, "base": base.get(name), "checkpoint": checkpoint.get(name)}
        for name in measures_of_the_model({*base, *checkpoint})
    )
