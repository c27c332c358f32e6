"""Being found: the agent's signed record under its IPFS node's name, and its place at the network's rendezvous."""

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
from atlas.signing import Signer
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.chain.heartbeat import repeat
from node_agent.presence.machine import NodeManifest

log = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
"""Between two looks at whether what was published still holds."""
MOST_ADDRESSES, MOST_WORDS = 64, 256
"""What a record has room for."""

Describe = Callable[[Identity], NodeRecord]


class Announcer:
    """Keeps one node's record true and fresh on one IPFS node. Its methods block."""

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
        """`describe` gives the record as of now; `peers` are multiaddresses that the IPFS node is connected to."""
        self._node, self._peers, self._signer = node, peers, signer
        self._describe, self._clock = describe, clock
        self._renewal, self._lifetime = renewal_seconds, lifetime_seconds
        self._published: NodeRecord | None = None
        self._away: set[str] = set()
        self._ended = Event()

    def end(self) -> None:
        """Begin nothing more; what is asked of the IPFS node at this moment is the last."""
        self._ended.set()

    def look(self) -> None:
        """Connect to the peers, and publish the record if what is out there is old or not true any more.

        Raises `ContentError` and `ChainError`; what was not published is so at a later look.
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
                    log.warning("the IPFS node at %s is not reached, and is tried again: %s", peer, error)
                self._away.add(peer)

    def _publish(self, record: NodeRecord) -> None:
        """The rendezvous comes first: it cannot be provided before there is a peer, and a name then reaches nobody."""
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

    def _put(self, data: bytes, name: str) -> str:
        expected, cid = cid_of_bytes(data), self._node.put_block(data)
        if cid != expected:
            raise ContentError(f"{self._node.name} gives the {name} the CID {cid}, expected {expected}.")
        self._node.pin(cid, name)
        return cid


def is_due(published: NodeRecord, current: NodeRecord, now: float, renewal_seconds: float) -> bool:
    """Whether to publish: the old record is due for renewal, or says something that holds no more.

    The chain's height alone is no reason: it always grows.
    """
    passing = {"made_at", "height"}
    changed = published.model_dump(exclude=passing) != current.model_dump(exclude=passing)
    return changed or not 0 <= now - published.made_at < renewal_seconds


def record_of(
    manifest: NodeManifest, registered: Node, height: int, identity: Identity, network: Network, now: float
) -> NodeRecord:
    """What a node says of itself; `now` is in seconds since the epoch."""
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


class ChainView:
    """A node as the chain has it, or had it when it last answered. Blocks."""

    def __init__(self, ledger: Ledger, registered: Node) -> None:
        self._ledger, self._registered, self._height = ledger, registered, 0

    def look(self) -> tuple[Node, int]:
        """The node and the height at which it is so; raises `ChainError` other than `ChainUnreachable`."""
        try:
            self._height, self._registered = self._ledger.height(), self._ledger.node(self._registered.id)
        except ChainUnreachable as error:  # just then it matters to be found without the chain
            log.info("the record repeats what the chain said last: %s", error)
        return self._registered, self._height


def open_announcer(
    content: Content, signer: Signer, ledger: Ledger, registered: Node, manifest: NodeManifest
) -> Announcer | None:
    """The announcer of a node over the first of its IPFS nodes, its own; None where content is a shared folder."""
    if not isinstance(content, IpfsPlaces):
        return None
    chain = ChainView(ledger, registered)

    def describe(identity: Identity) -> NodeRecord:
        return record_of(manifest, *chain.look(), identity, ledger.network, time.time())

    return Announcer(KuboNode(content.nodes[0]), content.peers, signer, describe)


@asynccontextmanager
async def announcing(announcer: Announcer | None, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Let the node be found for as long as the body runs; whatever goes wrong with that is logged and tried again."""
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
    except Exception:  # being found is worth less than the work in hand
        log.exception("this node is not announced any more; the agent works on")
