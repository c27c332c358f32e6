"""Tables that the Dagster UI shows: shards, updates with their verdicts, metrics, payouts."""

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
FIRST, LAST = 5, 8
"""Characters of a short CID."""


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue:
    """Rows with equal keys as table metadata; None becomes an empty cell."""
    records = [dg.TableRecord({key: "" if cell is None else cell for key, cell in row.items()}) for row in rows]
    columns = [dg.TableColumn(name, "string") for name in (records[0].data if records else {})]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def table_with_cids(
    name: str, rows: Iterable[Mapping[str, Any]], keys: Sequence[str], cids: Sequence[str]
) -> dict[str, dg.MetadataValue]:
    """The table `name` with short CIDs in the columns `cids`, and the table `NAME_cids` with the whole ones.

    The columns `keys` name the row in both. Rows without a CID are left out of the second table.
    """
    rows = list(rows)
    short = [{column: short_cid(cell) if column in cids else cell for column, cell in row.items()} for row in rows]
    whole = [{column: row[column] for column in (*keys, *cids)} for row in rows if any(row[cid] for cid in cids)]
    return {name: table(short), f"{name}_cids": table(whole)}


def short_cid(cid: str | None) -> str | None:
    """The first and last characters of a CID, for a table."""
    return f"{cid[:FIRST]}…{cid[-LAST:]}" if cid and len(cid) > FIRST + LAST else cid


def rounded(value: float) -> float:
    """A number with `DIGITS` significant digits, for people; exact values are in the documents behind the CIDs."""
    return float(f"{value:.{DIGITS}g}")


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


def shard_tables(shards: Sequence[ShardManifest]) -> dict[str, dg.MetadataValue]:
    """One row per shard, and its CID."""
    rows = [{"shard": shard.key, **shard_facts(shard), "cid": shard.cid} for shard in shards]
    return table_with_cids("shards", rows, ["shard"], ["cid"])


def update_tables(
    attempts: Sequence[Attempt],
    receipts: Mapping[Cid, Receipt],
    dataset: DatasetManifest,
    diagnostics: RoundDiagnostics | None = None,
) -> dict[str, dg.MetadataValue]:
    """One row per attempt at training a shard, the reasons of those without an accepted update, and the adapters.

    `receipts` holds the receipts by CID. Once the round is aggregated, `diagnostics` give the influence of each
    accepted update.
    """
    trained = [one for one in attempts if one.slot < len(dataset.shards)]
    rows = [_update(one, receipts.get(one.receipt_cid or Cid("")), dataset.shards[one.slot]) for one in trained]
    left_out = [
        {"shard": dataset.shards[one.slot].key, "attempt": one.attempt, "gate": one.gate, "reason": one.reason}
        for one in trained
        if one.reason
    ]
    return {
        **table_with_cids("updates", rows, ["shard", "attempt"], ["adapter"]),
        **({"influences": table(map(_influence, diagnostics.updates))} if diagnostics else {}),
        **({"reasons": table(left_out)} if left_out else {}),
    }


def _update(attempt: Attempt, receipt: Receipt | None, shard: ShardManifest) -> dict[str, Any]:
    excluded = attempt.state == "completed" and attempt.gate is not None
    return {
        "shard": shard.key,
        "node": attempt.node_id,
        "attempt": attempt.attempt,
        "verdict": "excluded" if excluded else VERDICTS[attempt.state],
        "rows": shard.rows,
        "loss": rounded(receipt.losses[-1].loss) if receipt and receipt.losses else None,
        "adapter": attempt.result_cid,
    }


def _influence(counted: Influence) -> dict[str, Any]:
    """The norm of an update, its coefficient, its share of the round's change, and the cosine between the two."""
    return {
        "shard": counted.shard,
        "norm": rounded(counted.norm),
        "coefficient": _known(counted.coefficient),
        "influence": _known(counted.share),
        "cosine": rounded(counted.cosine),
    }


def refused_table(refused: Iterable[RefusedUpdate]) -> dg.MetadataValue:
    """One row per update that a gate kept out of a round."""
    return table(
        {
            "shard": one.shard,
            "attempt": one.attempt,
            "gate": one.gate,
            "reason": one.reason,
            "adapter": short_cid(one.adapter),
        }
        for one in refused
    )


def payout_tables(payouts: Sequence[Payout]) -> dict[str, dg.MetadataValue]:
    """One row per node: its tasks and tokens, its score by token, and its credit; and the nodes' addresses."""
    rows = [
        {
            "node": one.node,
            "tasks": one.count,
            "tokens": one.tokens,
            "score": None if one.score is None else f"{one.score / 1000:.3f}",
            "basis_points": one.bps,
            "credited": one.amount,
        }
        for one in payouts
    ]
    addresses = [{"node": one.node, "address": one.address} for one in payouts]
    return {"payouts": table(rows), "addresses": table(addresses)}


def metrics_table(base: Mapping[str, float], checkpoint: Mapping[str, float]) -> dg.MetadataValue:
    """One row per metric, before and after the round."""
    return table(
        {"metric": name, "base": _known(base.get(name)), "checkpoint": _known(checkpoint.get(name))}
        for name in measures_of_the_model({*base, *checkpoint})
    )


def _known(value: float | None) -> float | None:
    return None if value is None else rounded(value)
