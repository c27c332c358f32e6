"""The coordinator's IPFS node is connected beside the work, and nothing that goes wrong there reaches the work."""

import asyncio
import logging
import threading

import pytest

from atlas.content.local.store import LocalStore
from atlas.content.places.open import IpfsPlaces
from atlas.errors import ContentNotFound
from chain_bridge.client.network import Network
from resources.nodes import content_peers
from resources.nodes.content_peers import connected_content
from resources.settings import Addresses

NETWORK = Network(chain_id="chain-1", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
PEERS = ["/ip4/127.0.0.1/tcp/1/p2p/first", "/ip4/127.0.0.1/tcp/1/p2p/second"]


class Chain:
    """Has no nodes, and counts how often it was asked."""

    asked = 0

    def nodes(self):
        self.asked += 1
        return []


class Slow:
    """An IPFS node that waits with its first connection until it is let go."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def connect(self, multiaddr: str) -> None:
        self.tried.append(multiaddr)
        self.begun.set()
        assert self.go.wait(30)

    def find_providers(self, cid, most, timeout_seconds):
        return []

    def resolve_name(self, peer_id, timeout_seconds):
        raise ContentNotFound("nothing")

    def peers(self):
        return []


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "content")


def addresses(content) -> Addresses:
    return Addresses(network=NETWORK, bus="nats://127.0.0.1:1", content=content)


async def test_where_content_is_a_folder_nobody_is_asked(tmp_path, store):
    chain = Chain()
    async with connected_content(addresses(tmp_path), chain, store):
        pass
    assert chain.asked == 0


async def test_an_ipfs_node_that_is_not_there_costs_a_line_in_the_log(store, caplog):
    places = IpfsPlaces(nodes=["http://127.0.0.1:1"], peers=PEERS[:1])
    with caplog.at_level(logging.INFO):
        async with connected_content(addresses(places), Chain(), store), asyncio.timeout(60):
            while "could not connect" not in caplog.text:
                await asyncio.sleep(0.01)
    assert "/p2p/first: " in caplog.text
    assert "Traceback" not in caplog.text


async def test_the_work_does_not_wait_and_its_end_ends_the_search(store, monkeypatch):
    node, chain = Slow(), Chain()
    monkeypatch.setattr(content_peers, "directory_of", lambda content: node)
    async with connected_content(addresses(IpfsPlaces(nodes=["http://127.0.0.1:1"], peers=PEERS)), chain, store):
        assert await asyncio.to_thread(node.begun.wait, 30)
        asyncio.get_running_loop().call_later(0.05, node.go.set)  # only after the body has ended
    assert (node.tried, chain.asked) == (PEERS[:1], 0)


async def test_a_defect_of_the_search_is_logged_and_the_work_goes_on(store, monkeypatch, caplog):
    def broken(*arguments, **named):
        raise RuntimeError("a defect")

    monkeypatch.setattr(content_peers, "discover", broken)
    async with connected_content(addresses(IpfsPlaces(nodes=["http://127.0.0.1:1"])), Chain(), store):
        pass
    assert "a defect" in caplog.text
