"""An agent is found by a record that is true and fresh; whatever fails there is tried again and stops no work."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.content.kubo.answers import Identity
from atlas.content.places.open import IpfsPlaces
from atlas.documents.node_record import LIFETIME_SECONDS, NodeRecord, parse_record, rendezvous, verify
from atlas.errors import ContentUnreachable
from atlas.signing import KeySigner
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from node_agent.presence.announcing import Announcer, NodeOnChain, announcing, is_due, open_announcer, record_of
from node_agent.presence.machine import NodeManifest

NOW = 1_800_000_000
SIGNER = KeySigner(b"\x01" * 32, "atlas")
NETWORK = Network(chain_id="chain-1", url="grpc+http://127.0.0.1:1", contract="atlas1contract")
PEER, ADDRESS = "12D3KooWpeer", "/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWpeer"
RENDEZVOUS = cid_of_bytes(rendezvous("chain-1", "atlas1contract"))
MANIFEST = NodeManifest(
    address=SIGNER.address, version="0.1.0", platform="x", cpu="c", cores=2, memory_bytes=2**30, gpus=["G"], slots=1,
    price=500,
)  # fmt: skip


def registered(**changes: Any) -> Node:
    fields = {"id": 3, "owner": SIGNER.address, "kind": "compute", "capacity": 8, "used": 0, "stake": 0}
    fields |= {"unbonding": [], "reputation": 100, "last_seen": 0, "status": "active", "jailed_until": 0}
    return Node.model_validate({**fields, "manifest": MANIFEST.cid, "public_key": None, **changes})


def made(identity: Identity | None = None, now: float = NOW, height: int = 7, **changes: Any) -> NodeRecord:
    who = identity or Identity(PEER, [ADDRESS], "0.42.0")
    return record_of(MANIFEST, registered(**changes), height, who, NETWORK, now)


@dataclass
class Published:
    """An IPFS node that keeps what it is given, and fails as often as a test sets."""

    name: str = "http://127.0.0.1:5001"
    blocks: dict[str, bytes] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)
    provided: list[str] = field(default_factory=list)
    published: list[tuple[str, int]] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    failures: int = 0
    waits: threading.Event | None = None

    def identity(self) -> Identity:
        if self.failures:
            self.failures -= 1
            raise ContentUnreachable("the node does not answer")
        return Identity(PEER, [ADDRESS], "0.42.0")

    def connect(self, multiaddr: str) -> None:
        if "away" in multiaddr:
            raise ContentUnreachable("nobody there")
        self.connected.append(multiaddr)

    def put_block(self, data: bytes) -> str:
        cid = cid_of_bytes(data)
        self.blocks[cid] = data
        return cid

    def pin(self, cid: str, name: str = "") -> None:
        self.pinned[cid] = name

    def pins(self) -> dict[str, str]:
        return dict(self.pinned)

    def unpin(self, cid: str) -> None:
        del self.pinned[cid]

    def provide(self, cid: str) -> None:
        self.provided.append(cid)
        if self.waits is not None:
            self.waits.wait(60)

    def publish_name(self, cid: str, lifetime_seconds: int) -> str:
        self.published.append((cid, lifetime_seconds))
        return PEER


def announcer(node: Any, clock: list[float], reputation: list[int] | None = None, **changes: Any) -> Announcer:
    def describe(identity: Identity) -> NodeRecord:
        return made(identity, clock[0], reputation=(reputation or [100])[0])

    return Announcer(node, changes.pop("peers", []), SIGNER, describe, lambda: clock[0], 900.0, **changes)


def test_what_is_published_is_the_signed_record_and_the_rendezvous() -> None:
    node = Published()
    announcer(node, [NOW], peers=["/dns4/away/tcp/1", "/ip4/10.0.0.9/tcp/4001"]).look()
    (cid, lifetime), *more = node.published
    assert (lifetime, more) == (LIFETIME_SECONDS, [])
    signed = parse_record(node.blocks[cid])
    assert verify(signed, chain_id="chain-1", contract="atlas1contract", peer_id=PEER, now=NOW) == made()
    assert node.provided == [RENDEZVOUS, cid]
    assert set(node.pinned) == {RENDEZVOUS, cid}
    assert node.connected == ["/ip4/10.0.0.9/tcp/4001"]


def test_it_is_renewed_in_time_and_when_it_is_not_true_any_more_and_one_record_is_kept() -> None:
    node, clock, reputation = Published(), [float(NOW)], [100]
    node.pinned["of an earlier run"] = f"atlas record of {SIGNER.address}"
    node.pinned["of somebody else"] = "atlas record of another"
    looking = announcer(node, clock, reputation)
    looking.look()
    clock[0] += 899
    looking.look()
    assert len(node.published) == 1
    clock[0] += 1
    looking.look()
    assert len(node.published) == 2
    clock[0] += 1
    reputation[0] = 95
    looking.look()
    assert len(node.published) == 3
    assert parse_record(node.blocks[node.published[-1][0]]).record.reputation == 95
    assert set(node.pinned) == {RENDEZVOUS, node.published[-1][0], "of somebody else"}


@given(st.integers(-2000, 2000), st.integers(0, 50), st.integers(90, 100), st.booleans())
def test_a_record_is_due_when_it_is_old_or_says_what_holds_no_more(
    age: int, higher: int, reputation: int, moved: bool
) -> None:
    published = made()
    elsewhere = Identity(PEER, ["/ip4/10.0.0.2/tcp/4001"], "0.42.0") if moved else None
    current = made(elsewhere, NOW + age, 7 + higher, reputation=reputation)
    assert is_due(published, current, NOW + age, 900) == (not 0 <= age < 900 or moved or reputation != 100)


def test_a_record_has_room_for_what_fits_and_leaves_out_the_rest() -> None:
    many = Identity(PEER, [f"/ip4/10.0.0.{number}/tcp/1" for number in range(100)] + ["/" + "x" * 300], "0")
    manifest = MANIFEST.model_copy(update={"cpu": "c" * 300, "gpus": ["g" * 300] * 100})
    record = record_of(manifest, registered(), 7, many, NETWORK, NOW + 0.9)
    assert NodeRecord.from_bytes(record.canonical_bytes()) == record
    assert (len(record.addresses), len(record.gpus), len(record.cpu), record.made_at) == (64, 64, 256, NOW)


def test_while_the_chain_is_away_the_record_repeats_what_it_said_last() -> None:
    class Chain:
        up = True

        def height(self) -> int:
            if not self.up:
                raise ChainUnreachable("no answer")
            return 12

        def node(self, number: int) -> Node:
            return registered(reputation=80)

    chain: Any = Chain()
    view = NodeOnChain(chain, registered())
    chain.up = False
    assert view.look() == (registered(), 0)
    chain.up = True
    assert view.look() == (registered(reputation=80), 12)
    chain.up = False
    assert view.look() == (registered(reputation=80), 12)


async def test_a_node_that_fails_is_tried_again_beside_the_work() -> None:
    node = Published(failures=2)
    async with announcing(announcer(node, [NOW]), look_seconds=0.01), asyncio.timeout(30):
        while not node.published:
            await asyncio.sleep(0.01)
    assert len(node.published) == 1


async def test_what_nobody_foresaw_is_logged_and_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def broken(identity: Identity) -> NodeRecord:
        raise RuntimeError("a defect")

    node: Any = Published()
    async with announcing(Announcer(node, [], SIGNER, broken)), asyncio.timeout(30):
        while "a defect" not in caplog.text:
            await asyncio.sleep(0.01)
    assert node.published == []


async def test_an_agent_that_ends_publishes_nothing_more() -> None:
    node = Published(waits=threading.Event())
    assert node.waits is not None
    looking = announcer(node, [NOW])
    async with announcing(looking), asyncio.timeout(30):
        while not node.provided:
            await asyncio.sleep(0.01)
    node.waits.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert (len(node.provided), node.published) == (1, [])
    looking.look()
    assert node.published == []


def test_only_an_agent_with_ipfs_is_announced(tmp_path: Any) -> None:
    ledger: Any = None
    assert open_announcer(tmp_path, SIGNER, ledger, registered(), MANIFEST) is None
    places = IpfsPlaces(nodes=["http://127.0.0.1:1"])
    assert open_announcer(places, SIGNER, ledger, registered(), MANIFEST) is not None
