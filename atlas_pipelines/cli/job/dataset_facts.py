"""The facts of a job's dataset, as JSON and as text."""

from typing import Any

from atlas.data.warnings import dataset_warnings
from atlas.documents.manifests import DatasetManifest


def dataset_facts(manifest: DatasetManifest) -> dict[str, Any]:
    """The numbers of a dataset, and warnings about data that may train poorly."""
    return {
        "cid": manifest.cid,
        "source": manifest.source,
        "shards": len(manifest.shards),
        "rows": sum(shard.rows for shard in manifest.shards),
        "held_out_rows": manifest.holdout.rows,
        "repeated_rows": manifest.repeated_rows,
        "skipped_rows": manifest.skipped_rows,
        "warnings": dataset_warnings(manifest),
    }


def dataset_lines(manifest: DatasetManifest) -> list[str]:
    """The same facts as lines of text."""
    facts = dataset_facts(manifest)
    also = [
        f"{facts[name]:,} {what}"
        for name, what in (("repeated_rows", "repeat a text"), ("skipped_rows", "skipped"))
        if facts[name]
    ]
    return [
        f"data {facts['source']}: {facts['rows']:,} rows in {facts['shards']} shards, {facts['held_out_rows']:,} held "
        f"out{''.join(f', {one}' for one in also)}",
        *(f"warning: {warning}" for warning in facts["warnings"]),
    ]
