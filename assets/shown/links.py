"""Links between the Dagster pages, and commands to copy."""

from urllib.parse import quote

import dagster as dg

from chain_bridge.client.network import Network


def partition_page(asset: str, partition: str) -> str:
    """The path of an asset's page, opened at one partition."""
    return f"/assets/{quote(asset)}?view=partitions&partition={quote(partition)}"


def run_page(run_id: str) -> str:
    """The path of a run's page."""
    return f"/runs/{quote(run_id)}"


def command(text: str) -> dg.MetadataValue:
    """A command that a person copies into a terminal."""
    return dg.MetadataValue.md(f"```\n{text}\n```")


def transaction_pages(network: Network, **hashes: str | None) -> dict[str, dg.MetadataValue]:
    """Links to a block explorer, as metadata `NAME_page`, for the transactions that have a hash.

    Empty for a network without an explorer, such as the local one.
    """
    pages = {name: network.transaction_page(found) for name, found in hashes.items() if found}
    return {f"{name}_page": dg.MetadataValue.url(page) for name, page in pages.items() if page}
