"""Links between the Dagster pages, and commands to copy."""

from urllib.parse import quote

import dagster as dg


def partition_page(asset: str, partition: str) -> str:
    """The path of an asset's page, opened at one partition."""
    return f"/assets/{quote(asset)}?view=partitions&partition={quote(partition)}"


def run_page(run_id: str) -> str:
    """The path of a run's page."""
    return f"/runs/{quote(run_id)}"


def command(text: str) -> dg.MetadataValue:
    """A command that a person copies into a terminal."""
    return dg.MetadataValue.md(f"```\n{text}\n```")
