"""`atlas nodes`: the network's nodes, their hardware and prices, and where they were found."""

import time
from typing import Annotated, Any

import typer
from rich.console import Console

from atlas.content.places.open import open_kept_store
from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import Column, print_table
from atlas_pipelines.cli.network import Chain, need_a_network, using_network
from atlas_pipelines.cli.output import results_console
from chain_bridge.ledger import Ledger
from resources.nodes.discovery import directory_of, discover, peers_of
from resources.nodes.found_nodes import FoundNode

COLUMNS = ("node", "address", "role", "hardware", "price", "reputation", "status", "last seen", "found")


def nodes(
    chain: Chain = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the network's nodes: from the DHT, then from the chain, then from the addresses in `content.peers`."""
    home = AtlasHome.from_environment()
    if chain is None:
        need_a_network(home)
    with using_network(home, chain=chain) as addresses, Ledger(addresses.network) as ledger:
        content = addresses.content
        store = open_kept_store(content, home.content)
        found = discover(addresses.network, directory_of(content), peers_of(content), ledger, store, time.time)
    if json:
        print_json([facts(node) for node in found])
    elif found:
        print_nodes(found, time.time(), addresses.network.denom, results_console())
    else:
        results_console().print("No node was found.")


def facts(node: FoundNode) -> dict[str, Any]:
    """The JSON object of a node; prices are in micro-units, times in seconds since the epoch."""
    record = node.record
    return {
        "node": node.node_id,
        "address": node.address,
        "role": node.role,
        "hardware": node.hardware or None,
        "price": node.price,
        "reputation": node.reputation,
        "status": node.status,
        "last_seen": node.last_seen or None,
        "found": node.source,
        "peer_id": record.peer_id if record else None,
        "addresses": record.addresses if record else [],
    }


def print_nodes(found: list[FoundNode], now: float, denomination: str, console: Console) -> None:
    """Print one line per node; `now` is in seconds since the epoch."""
    columns = [
        Column(f"{name} {denomination}" if name == "price" else name, number=name in ("node", "price", "reputation"))
        for name in COLUMNS
    ]
    cells = []
    for node in found:
        price, reputation = (f"{value:,}" if value is not None else "-" for value in (node.price, node.reputation))
        seen = ago(now - node.last_seen) if node.last_seen else "never"
        hardware = node.hardware or "-"
        role = node.role or "-"
        cells.append(
            [str(node.node_id), node.address, role, hardware, price, reputation, node.status, seen, node.source]
        )
    print_table(console, columns, cells)


def ago(seconds: float) -> str:
    """A duration in its largest whole unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
