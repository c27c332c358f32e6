"""Agents that announce themselves on real IPFS nodes are found by a coordinator on another one."""

import time
import uuid

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.kubo.answers import Identity
from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.open import open_kept_store
from atlas.documents.node_record import NodeRecord, sign_record
from atlas.home import AtlasHome
from atlas.signing import KeySigner
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.presence.announcing import Announcer, record_of
from node_agent.presence.machine import NodeManifest
from resources.local.ipfs import LocalIpfs
from resources.local.parts import LocalParts
from resources.nodes.content_peers import connect_to
from resources.nodes.discovery import directory_of, discover, peer_in

pytestmark = pytest.mark.kubo
KEYS = [KeySigner(bytes([number]) * 32, "atlas") for number in (1, 2, 3)]


class Chain:
    """Says who owns node 1 and node 2, unless it is away."""

    def __init__(self) -> None:
        self.up = True

    def nodes(self) -> list[Node]:
        if not self.up:
            raise ChainUnreachable("no answer")
        return [registered(1), registered(2)]


def registered(number: int) -> Node:
    return Node(
        id=number, owner=KEYS[number].address, kind="compute", capacity=8, used=0, stake=0, unbonding=[],
        reputation=100, last_seen=0, status="active", jailed_until=0, manifest=cid_of_bytes(b"x"), public_key=None,
    )  # fmt: skip


def record(network: Network, number: int, price: int, identity: Identity) -> NodeRecord:
    """What node `number` says of itself on an IPFS node."""
    manifest = NodeManifest(
        address=KEYS[number].address, version="0", platform="x", cpu="c", cores=2, memory_bytes=2**30, gpus=[],
        slots=1, price=price,
    )  # fmt: skip
    return record_of(manifest, registered(number), 7, identity, network, time.time())


def announcer(network: Network, node: KuboNode, number: int, prices: list[int], signer: KeySigner) -> Announcer:
    """Of node `number` on an IPFS node, at the price that `prices` holds now."""
    return Announcer(node, [], signer, lambda identity: record(network, number, prices[0], identity))


@pytest.fixture
def network():
    """A network of this test's own, so that the shared IPFS nodes know nobody else in it."""
    return Network(chain_id="chain-1", url="grpc+http://127.0.0.1:1", contract=f"atlas1{uuid.uuid4().hex}")


@pytest.fixture
def find(network, kubo, tmp_path):
    def search(chain, peers=()):
        store = LocalStore(tmp_path / "content")
        return discover(network, kubo.nodes[0], list(peers), chain, store, time.time)

    return search


def test_the_dht_gives_true_records_also_while_the_chain_is_away(network, kubo, find):
    chain, prices = Chain(), [5]
    assert [node.source for node in find(chain)] == ["chain", "chain"]
    looking = announcer(network, kubo.nodes[1], 1, prices, KEYS[1])
    looking.look()
    found = find(chain)
    assert [(node.node_id, node.source, node.price) for node in found] == [(1, "dht", 5), (2, "chain", None)]
    assert found[0].record.peer_id == kubo.nodes[1].identity().peer_id
    assert connect_to(found, kubo.nodes[0]) == 1
    prices[0] = 6
    looking.look()
    chain.up = False
    assert [(node.node_id, node.price) for node in find(chain)] == [(1, 6)]


def test_a_forger_and_a_copier_are_left_out(network, kubo, find):
    announcer(network, kubo.nodes[1], 1, [5], KEYS[1]).look()
    announcer(network, kubo.nodes[2], 2, [0], KEYS[0]).look()  # signed by another key
    assert [(node.node_id, node.source) for node in find(Chain())] == [(1, "dht"), (2, "chain")]
    copied = kubo.nodes[2].resolve_name(kubo.nodes[1].identity().peer_id)
    kubo.nodes[2].publish_name(copied, 3600)
    chain = Chain()
    chain.up = False
    (found,) = find(chain)
    assert found.record.peer_id == kubo.nodes[1].identity().peer_id


def test_a_peer_that_the_settings_name_is_found_without_the_dht_and_the_chain(network, kubo, find):
    chain, node = Chain(), kubo.nodes[1]
    chain.up = False
    identity = node.identity()
    signed = sign_record(record(network, 1, 5, identity), KEYS[1])
    node.publish_name(node.put_block(signed.canonical_bytes()), 3600)
    assert find(chain) == []
    address = next(one for one in identity.addresses if peer_in(one) == identity.peer_id)
    (found,) = find(chain, [address])
    assert (found.node_id, found.source, found.status, found.price) == (1, "direct", "unknown", 5)


@pytest.mark.slow
def test_local_agents_over_ipfs_are_found_with_their_prices(kubo, tmp_path, monkeypatch):
    home = AtlasHome(tmp_path / "atlas")
    monkeypatch.setenv("ATLAS_HOME", str(home.root))
    ipfs = LocalIpfs(nodes=kubo.urls, replicas=1)
    parts = LocalParts(home, agents=2, threads=1, ipfs=ipfs, nodes=[{"price": 7}, {"price": 8}])
    try:
        addresses = parts.start()
        with Ledger(addresses.network) as ledger:
            store, directory = open_kept_store(addresses.content, home.content), directory_of(addresses.content)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                found = discover(addresses.network, directory, [], ledger, store, time.time)
                if [node.source for node in found] == ["dht", "dht"]:
                    break
                time.sleep(0.2)
            assert [(node.node_id, node.price, node.source) for node in found] == [(1, 7, "dht"), (2, 8, "dht")]
            assert {node.record.peer_id for node in found} == {node.identity().peer_id for node in kubo.nodes[1:]}
    finally:
        parts.stop()
