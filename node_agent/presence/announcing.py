"""Announcing the node: its signed record, under its IPFS node's name, and its entry at the network's rendezvous."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from threading import Event

from atlas.content.format.cid import cid_of_bytes
from atlas.content.kubo.answers import Identity
from atlas.content.kubo.node import KuboNode
from atlas.content.places.open import Content, IpfsPlaces
from atlas.documents.node_record import LIFETIME_SECONDS, RENEWAL_SECONDS, NodeRecord, rendezvous, sign_record
from atlas.errors import AtlasError, ContentError
from atlas.ids import Cid
from atlas.signing import Signer
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.chain.heartbeat import repeat
from node_agent.presence.machine import NodeManifest

log = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
"""The interval between two checks of whether the published record is still valid."""
MOST_ADDRESSES, MOST_WORDS = 64, 256
"""Limits of a record's fields."""

Describe = Callable[[Identity], NodeRecord]


class Announcer:
    """Keeps one node's published record up to date on one IPFS node. Its methods block."""

    def __init__(
        self,
        node: KuboNode,
        peers: Sequence[str],
        signer: Signer,
        describe: Describe,
        clock: Callable[[], float] = time.time,
        renewal_seconds: float = RENEWAL_SECONDS,
        lifetime_seconds: int = LIFETIME_SECONDS,
    ) -> None:
        """`describe` returns the current record; `peers` are multiaddresses that the IPFS node is connected to."""
        self._node, self._peers, self._signer = node, peers, signer
        self._describe, self._clock = describe, clock
        self._renewal, self._lifetime = renewal_seconds, lifetime_seconds
        self._published: NodeRecord | None = None
        self._away: set[str] = set()
        self._ended = Event()

    def end(self) -> None:
        """Send no more requests to the IPFS node; the current one is the last."""
        self._ended.set()

    def look(self) -> None:
        """Connect to the peers, and publish the record if the published one is due for renewal or has changed.

        Raises `ContentError` and `ChainError`; a later call publishes what is missing.
        """
        self._connect()
        if self._ended.is_set():
            return
        record = self._describe(self._node.identity())
        if self._published is None or is_due(self._published, record, self._clock(), self._renewal):
            self._publish(record)

    def _connect(self) -> None:
        for peer in self._peers:
            if self._ended.is_set():
                return
            try:
                self._node.connect(peer)
                self._away.discard(peer)
            except ContentError as error:
                if peer not in self._away:
                    log.warning("cannot reach the IPFS node at %s, retrying: %s", peer, error)
                self._away.add(peer)

    def _publish(self, record: NodeRecord) -> None:
        """Publish the record; the rendezvous comes first.

        Providing it fails while there are no peers, and a name that is published then reaches nobody.
        """
        meeting_point = self._put(rendezvous(record.chain_id, record.contract), "atlas rendezvous")
        label = f"atlas record of {record.address}"
        signed = self._put(sign_record(record, self._signer).canonical_bytes(), label)
        for publish in (
            lambda: self._node.provide(meeting_point),
            lambda: self._node.provide(signed),
            lambda: self._node.publish_name(signed, self._lifetime),
        ):
            if self._ended.is_set():
                return
            publish()
        self._published = record
        log.info("the record of node %d is published: %s", record.node_id, signed)
        for cid, pinned_as in self._node.pins().items():
            if pinned_as == label and cid != signed:
                self._node.unpin(cid)

    def _put(self, data: bytes, name: str) -> Cid:
        expected, cid = cid_of_bytes(data), self._node.put_block(data)
        if cid != expected:
            raise ContentError(f"{self._node.name} gives the {name} the CID {cid}, expected {expected}.")
        self._node.pin(cid, name)
        return cid


def is_due(published: NodeRecord, current: NodeRecord, now: float, renewal_seconds: float) -> bool:
    """Whether to publish: the published record is due for renewal, or its content has changed.

    A new height of the chain alone is no reason: it always grows.
    """
    passing = {"made_at", "height"}
    changed = published.model_dump(exclude=passing) != current.model_dump(exclude=passing)
    return changed or not 0 <= now - published.made_at < renewal_seconds


def record_of(
    manifest: NodeManifest, registered: Node, height: int, identity: Identity, network: Network, now: float
) -> NodeRecord:
    """A node's record of itself; `now` is in seconds since the epoch."""
    return NodeRecord(
        chain_id=network.chain_id,
        contract=network.contract or "",
        node_id=registered.id,
        address=manifest.address,
        peer_id=identity.peer_id,
        addresses=sorted(one for one in identity.addresses if len(one) <= MOST_WORDS)[:MOST_ADDRESSES],
        version=manifest.version[:MOST_WORDS],
        cpu=manifest.cpu[:MOST_WORDS],
        cores=manifest.cores,
        memory_bytes=manifest.memory_bytes,
        gpus=[gpu[:MOST_WORDS] for gpu in manifest.gpus[:MOST_ADDRESSES]],
        slots=manifest.slots,
        price=manifest.price,
        reputation=registered.reputation,
        height=height,
        made_at=int(now),
    )


class NodeOnChain:
    """A node's state on chain, as of the last answer. Blocks."""

    def __init__(self, ledger: Ledger, registered: Node) -> None:
        self._ledger, self._registered, self._height = ledger, registered, 0

    def look(self) -> tuple[Node, int]:
        """The node and the height of that state; raises `ChainError` other than `ChainUnreachable`."""
        try:
            self._height, self._registered = self._ledger.height(), self._ledger.node(self._registered.id)
        except ChainUnreachable as error:  # a record is most useful while the chain is unreachable
            log.info("the record repeats the last state read from the chain: %s", error)
        return self._registered, self._height


def open_announcer(
    content: Content, signer: Signer, ledger: Ledger, registered: Node, manifest: NodeManifest
) -> Announcer | None:
    """The announcer of a node through its own IPFS node, the first one; None if content is a shared folder."""
    if not isinstance(content, IpfsPlaces):
        return None
    chain = NodeOnChain(ledger, registered)

    def describe(identity: Identity) -> NodeRecord:
        return record_of(manifest, *chain.look(), identity, ledger.network, time.time())

    return Announcer(KuboNode(content.nodes[0]), content.peers, signer, describe)


@asynccontextmanager
async def announcing(announcer: Announcer | None, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Announce the node while the body runs; errors are logged, and the announcement is tried again."""
    if announcer is None:
        yield
        return
    looking = asyncio.create_task(_keep_looking(announcer, look_seconds))
    try:
        yield
    finally:
        announcer.end()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _keep_looking(announcer: Announcer, look_seconds: float) -> None:
    async def look() -> None:
        await asyncio.to_thread(announcer.look)

    try:
        await repeat(look, look_seconds, AtlasError)
    except Exception:  # running tasks matter more than the announcement
        log.exception("this node is no longer announced; the agent continues")
