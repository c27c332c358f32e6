"""Nodes are found on the DHT before the chain before direct addresses; what is not true costs nobody else."""

import itertools
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.content.kubo.answers import Provider
from atlas.content.local.store import LocalStore
from atlas.documents.node_record import LIFETIME_SECONDS, NodeRecord, rendezvous, sign_record
from atlas.documents.stored import put_document
from atlas.errors import ContentNotFound, ContentUnreachable
from atlas.signing import KeySigner
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from node_agent.presence.machine import NodeManifest
from resources.nodes.content_peers import connect_to
from resources.nodes.discovery import discover, peer_in
from resources.nodes.found_nodes import merge

NOW = 1_800_000_000
NETWORK = Network(chain_id="chain-1", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
KEYS = [KeySigner(bytes([number]) * 32, "atlas") for number in range(1, 6)]


def record(node_id: int, **changes) -> NodeRecord:
    fields = {
        "chain_id": NETWORK.chain_id,
        "contract": NETWORK.contract,
        "node_id": node_id,
        "address": KEYS[node_id].address,
        "peer_id": f"peer{node_id}",
        "addresses": [f"/ip4/10.0.0.{node_id}/tcp/4001/p2p/peer{node_id}"],
        "version": "0.1.0",
        "cpu": "a processor",
        "cores": 8,
        "memory_bytes": 2**34,
        "gpus": [],
        "slots": 1,
        "price": 500,
        "reputation": 100,
        "height": 77,
        "made_at": NOW - 60,
    }
    return NodeRecord.model_validate({**fields, **changes})


def on_chain(node_id: int, **changes) -> Node:
    fields = {
        "id": node_id,
        "owner": KEYS[node_id].address,
        "kind": "compute",
        "capacity": 8,
        "used": 0,
        "stake": 0,
        "unbonding": [],
        "reputation": 90,
        "last_seen": NOW - 30,
        "status": "active",
        "jailed_until": 0,
        "manifest": cid_of_bytes(b"nothing"),
        "public_key": None,
    }
    return Node.model_validate({**fields, **changes})


class Swarm:
    """What one IPFS node reaches: who provides the rendezvous, what their names stand for, and blocks."""

    def __init__(self) -> None:
        self.providers: list[str] = []
        self.names: dict[str, str] = {}
        self.blocks: dict[str, bytes] = {}
        self.connected: list[str] = []
        self.up = True

    def publish(self, data: bytes, peer_id: str, provides: bool = True) -> None:
        self.names[peer_id] = cid_of_bytes(data)
        self.blocks[self.names[peer_id]] = data
        if provides:
            self.providers.append(peer_id)

    def publish_record(self, one: NodeRecord, signer: KeySigner | None = None, provides: bool = True) -> None:
        signed = sign_record(one, signer or KEYS[one.node_id])
        self.publish(signed.canonical_bytes(), one.peer_id, provides)

    def find_providers(self, cid: str, most: int = 20, timeout_seconds: float = 30.0) -> list[Provider]:
        self._answer()
        assert cid == cid_of_bytes(rendezvous(NETWORK.chain_id, NETWORK.contract))
        return [Provider(peer_id, []) for peer_id in self.providers[:most]]

    def resolve_name(self, peer_id: str, timeout_seconds: float = 30.0) -> str:
        self._answer()
        if peer_id not in self.names:
            raise ContentNotFound(f"{peer_id} has published nothing")
        return self.names[peer_id]

    def block(self, cid: str, timeout_seconds: float | None = None) -> bytes:
        self._answer()
        return self.blocks[cid]

    def connect(self, multiaddr: str) -> None:
        self._answer()
        if "away" in multiaddr:
            raise ContentUnreachable(f"{multiaddr} does not answer")
        self.connected.append(multiaddr)

    def peers(self) -> list[str]:
        return [peer_in(address) for address in self.connected]

    def _answer(self) -> None:
        if not self.up:
            raise ContentUnreachable("the node does not answer")


class Chain:
    def __init__(self, *nodes: Node) -> None:
        self.registered = nodes
        self.up = True

    def nodes(self) -> list[Node]:
        if not self.up:
            raise ChainUnreachable("no answer")
        return list(self.registered)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "content")


@pytest.fixture
def swarm():
    return Swarm()


def find(swarm, chain, store, peers=(), **changes):
    return discover(NETWORK, swarm, list(peers), chain, store, lambda: NOW, **changes)


def sources(found):
    return {node.node_id: node.source for node in found}


def test_the_dht_comes_before_the_chain_before_direct_addresses(swarm, store):
    swarm.publish_record(record(1))
    swarm.publish_record(record(3), provides=False)
    peers = ["/ip4/10.0.0.3/tcp/4001/p2p/peer3", "/ip4/10.0.0.9/tcp/4001/p2p/away", "/ip4/10.0.0.8/tcp/4001"]
    manifest = NodeManifest(
        address=KEYS[2].address, version="0", platform="x", cpu="c", cores=2, memory_bytes=2**30, gpus=["G"], slots=1,
        price=7,
    )  # fmt: skip
    chain = Chain(on_chain(1), on_chain(2, manifest=put_document(store, manifest)), on_chain(4))
    found = find(swarm, chain, store, peers)
    assert sources(found) == {1: "dht", 2: "chain", 4: "chain"}  # 3 is not on chain
    assert [node.price for node in found] == [500, 7, None]
    assert [node.hardware for node in found] == ["no GPU; 8 cores, 16 GiB", "G; 2 cores, 1 GiB", ""]
    chain.up = False
    found = find(swarm, chain, store, peers)
    assert sources(found) == {1: "dht", 3: "direct"}
    assert {node.status for node in found} == {"unknown"}
    assert swarm.connected[0] == peers[0]
    swarm.up = False
    assert find(swarm, chain, store, peers) == []
    chain.up = True
    assert sources(find(swarm, chain, store, peers)) == {1: "chain", 2: "chain", 4: "chain"}
    assert sources(find(None, chain, store, peers)) == {1: "chain", 2: "chain", 4: "chain"}


def test_a_node_on_chain_with_a_direct_address_is_known_by_both(swarm, store):
    swarm.publish_record(record(3), provides=False)
    (found,) = find(swarm, Chain(on_chain(3)), store, ["/ip4/10.0.0.3/tcp/4001/p2p/peer3"])
    assert (found.source, found.price, found.reputation, found.last_seen) == ("chain", 500, 90, NOW - 30)


BAD = {
    "forged": lambda swarm: swarm.publish_record(record(2), KEYS[4]),
    "of an account that does not own the node": lambda swarm: swarm.publish_record(
        record(2, address=KEYS[4].address), KEYS[4]
    ),
    "of a node that is not on chain": lambda swarm: swarm.publish_record(record(4, peer_id="peer2")),
    "stale": lambda swarm: swarm.publish_record(record(2, made_at=NOW - LIFETIME_SECONDS - 1)),
    "of another contract": lambda swarm: swarm.publish_record(record(2, contract="atlas1other")),
    "of another chain": lambda swarm: swarm.publish_record(record(2, chain_id="chain-2")),
    "under another's name": lambda swarm: swarm.publish(
        sign_record(record(2), KEYS[2]).canonical_bytes(), "peer of mallory"
    ),
    "no record": lambda swarm: swarm.publish(b"\x00" * 100, "peer2"),
    "without a name": lambda swarm: swarm.providers.append("peer2"),
    "other bytes than its CID's": lambda swarm: (
        swarm.publish_record(record(2)),
        swarm.blocks.update({swarm.names["peer2"]: sign_record(record(2, price=1), KEYS[2]).canonical_bytes()}),
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_is_not_true_is_left_out_with_a_word_and_the_others_stay(swarm, store, kind, caplog):
    swarm.publish_record(record(1))
    BAD[kind](swarm)
    with caplog.at_level(logging.WARNING):
        found = find(swarm, Chain(on_chain(1), on_chain(2)), store)
    assert sources(found) == {1: "dht", 2: "chain"}
    assert found[1].record is None
    assert len([one for one in caplog.records if "left out" in one.message]) == 1


def test_nothing_more_is_asked_once_it_is_not_wanted(swarm, store):
    swarm.publish_record(record(1))
    assert find(swarm, Chain(on_chain(1)), store, ["/ip4/1.2.3.4/p2p/x"], wanted=lambda: False) == []
    assert swarm.connected == []


def test_ipfs_nodes_are_connected_by_the_first_address_that_answers_and_is_their_own(swarm):
    own = "/ip4/10.0.0.1/tcp/4001/p2p/peer1"
    tried = ["/ip4/10.9.9.9/tcp/1/p2p/victim", "/dns4/away/tcp/1/p2p/peer1", own, "/ip4/10.0.0.2/tcp/1/p2p/peer1"]
    records = [record(1, addresses=tried), record(2, addresses=["/dns4/away/tcp/1/p2p/peer2"])]
    found = merge(records, [on_chain(1), on_chain(2), on_chain(3)], []).nodes
    assert connect_to(found, swarm) == 1
    assert swarm.connected == [own]
    assert connect_to(found, swarm) == 1
    assert swarm.connected == [own]
    assert connect_to(found, Swarm(), wanted=lambda: False) == 0


claims = st.lists(
    st.builds(
        lambda node, by, age, peer: record(node, address=KEYS[by].address, made_at=NOW - age, peer_id=f"p{peer}"),
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(0, 5),
        st.integers(0, 2),
    ),
    max_size=8,
)
registries = st.none() | st.sets(st.integers(1, 3)).map(lambda ids: [on_chain(one) for one in sorted(ids)])


@given(claims, registries, claims)
def test_every_node_is_listed_once_by_its_owner_with_its_newest_word(dht, registered, direct):
    nodes, dropped = merge(dht, registered, direct)
    owners = None if registered is None else {node.id: node.owner for node in registered}
    keys = [(node.node_id, node.address) for node in nodes]
    assert keys == sorted(set(keys))
    true = [one for one in dht + direct if owners is None or owners.get(one.node_id) == one.address]
    assert set(keys) == {(one.node_id, one.address) for one in true} | set((owners or {}).items())
    assert len(dropped) == len(dht) + len(direct) - len(true)
    for node in nodes:
        said = [one for one in true if (one.node_id, one.address) == (node.node_id, node.address)]
        newest = max((one.made_at for one in said), default=None)
        assert (node.record.made_at if node.record else None) == newest
        on_dht = any(one in dht for one in said)
        assert node.source == ("dht" if on_dht else "chain" if owners is not None else "direct")
        assert (node.registered is None) == (owners is None)


@given(claims, registries, st.randoms())
def test_the_order_of_what_comes_in_changes_nothing(dht, registered, random):
    shuffled = random.sample(dht, len(dht))
    assert merge(shuffled, registered, []).nodes == merge(dht, registered, []).nodes


def test_a_multiaddress_names_its_peer():
    for host, peer in itertools.product(("/ip4/1.2.3.4/tcp/4001", "/dns4/a.example/tcp/1"), ("12D3Koo", "")):
        assert peer_in(f"{host}/p2p/{peer}") == peer
        assert peer_in(host) == ""
    assert peer_in("") == peer_in("/p2p/alone") == ""
