"""The asset downstream of the fine-tuning job: a page about the checkpoint of each round."""

from pathlib import Path

import dagster as dg

from assets.partitions import rounds
from assets.recorded.records import newest_record

FOLDER = Path("cards")


@dg.asset(partitions_def=rounds, deps=["aggregated_checkpoint", "evaluation"], kinds={"markdown"})
def model_card(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """A Markdown file with the checkpoint's CID and its metrics on the held-out rows."""
    key = context.partition_key
    found = {asset: newest_record(context.instance, asset, key) for asset in ("aggregated_checkpoint", "evaluation")}
    facts = {
        asset: record.asset_materialization.metadata
        for asset, record in found.items()
        if record and record.asset_materialization
    }
    if len(facts) < len(found):
        raise dg.Failure(f"The round {key} has no checkpoint or no evaluation yet. Launch federated_round for it.")
    checkpoint = facts["aggregated_checkpoint"]["cid"].value
    metrics = [record.data for record in facts["evaluation"]["metrics"].records]
    lines = [f"# {key}", "", f"Checkpoint: `{checkpoint}`", "", "| metric | before | after |", "|---|--:|--:|"]
    lines += [f"| {row['metric']} | {row['base']} | {row['checkpoint']} |" for row in metrics]
    FOLDER.mkdir(exist_ok=True)
    page = FOLDER / f"{key}.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return dg.MaterializeResult(
        metadata={"path": dg.MetadataValue.path(page.absolute()), "checkpoint": dg.MetadataValue.text(checkpoint)}
    )
