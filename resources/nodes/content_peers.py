"""Connects the coordinator's IPFS node to those of the nodes before there is work, so that content can flow."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from threading import Event
from typing import Protocol

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.errors import AtlasError, ContentError
from chain_bridge.ledger import Ledger
from resources.nodes.discovery import Directory, directory_of, discover, peer_in, peers_of
from resources.nodes.found_nodes import FoundNode
from resources.settings import Addresses

log = logging.getLogger(__name__)
MOST_TRIED = 8
"""Addresses tried per node; further addresses are ignored."""


class Connector(Directory, Protocol):
    """An IPFS node that can connect to peers."""

    def peers(self) -> list[str]:
        """Ids of the peers that it is connected to."""


@asynccontextmanager
async def connected_content(addresses: Addresses, ledger: Ledger, store: ContentStore) -> AsyncIterator[None]:
    """Find the nodes and connect to them while the body runs; errors are only logged.

    Does nothing if content is a shared folder.
    """
    node = directory_of(addresses.content)
    if node is None:
        yield
        return
    ended = Event()

    def connect() -> None:
        def wanted() -> bool:
            return not ended.is_set()

        peers = peers_of(addresses.content)
        found = discover(addresses.network, node, peers, ledger, store, time.time, wanted=wanted)
        log.info("connected to the IPFS nodes of %s", counted(connect_to(found, node, wanted), "node"))

    connecting = asyncio.create_task(_quietly(connect))
    try:
        yield
    finally:
        ended.set()
        await connecting


def connect_to(found: Iterable[FoundNode], node: Connector, wanted: Callable[[], bool] = lambda: True) -> int:
    """Connect an IPFS node to the IPFS nodes of `found`; returns how many of these are now connected.

    Uses the addresses in their records; an address of another peer than the record's is not tried. Blocks.
    """
    connected = set(node.peers())
    records = {one.record.peer_id: one.record for one in found if one.record is not None}
    reached = 0
    for peer_id, record in sorted(records.items()):
        if not wanted():
            break
        own = [address for address in record.addresses if peer_in(address) == peer_id][:MOST_TRIED]
        reached += peer_id in connected or _reach(node, own, wanted)
    return reached


def _reach(node: Directory, addresses: list[str], wanted: Callable[[], bool]) -> bool:
    for address in addresses:
        if not wanted():
            return False
        try:
            node.connect(address)
        except ContentError as error:
            log.info("cannot reach %s: %s", address, error)
        else:
            return True
    return False


async def _quietly(connect: Callable[[], None]) -> None:
    try:
        await asyncio.to_thread(connect)
    except AtlasError as error:
        log.warning("could not connect to the nodes' IPFS nodes; the round continues: %s", error)
    except Exception:  # content may still arrive another way, so the round must not fail
        log.exception("could not connect to the nodes' IPFS nodes; the round continues")
