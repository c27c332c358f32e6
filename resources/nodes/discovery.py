"""Finding nodes: on the DHT of the IPFS nodes, in the chain's registry, and at addresses that the settings name."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from atlas.content.format.cid import cid_of_bytes
from atlas.content.kubo.answers import Provider
from atlas.content.places.open import Content, IpfsPlaces
from atlas.content.store import ContentStore
from atlas.documents.node_record import NodeRecord, parse_record, rendezvous, verify
from atlas.errors import ContentError, CorruptContent, VerificationError
from atlas.ids import Cid
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainError
from resources.nodes.found_nodes import FoundNode, merge
from resources.nodes.node_manifests import NodeManifests

if TYPE_CHECKING:
    from atlas.content.kubo.node import KuboNode

log = logging.getLogger(__name__)


class Directory(Protocol):
    """The calls of discovery to an IPFS node; each raises `ContentError`."""

    def find_providers(self, cid: Cid, most: int = ..., timeout_seconds: float = ...) -> list[Provider]:
        """The peers that provide a CID on the DHT."""

    def resolve_name(self, peer_id: str, timeout_seconds: float = ...) -> Cid:
        """The CID that a peer has published under its name."""

    def block(self, cid: Cid, timeout_seconds: float | None = None) -> bytes:
        """The bytes of a block, not verified."""

    def connect(self, multiaddr: str) -> None:
        """Connect to a peer."""


class NodeList(Protocol):
    """The call of discovery to the chain; raises `ChainError`."""

    def nodes(self) -> list[Node]:
        """Every registered node."""


@dataclass(frozen=True)
class Limits:
    """Limits of the requests to the network."""

    providers: int = 64
    at_once: int = 8
    seconds: float = 8.0
    """The timeout of each request."""


def directory_of(content: Content) -> "KuboNode | None":
    """The IPFS node that is used first; None if content is a shared folder."""
    from atlas.content.kubo.node import KuboNode  # an HTTP client, which content in a folder does not need

    return KuboNode(content.nodes[0], Limits().seconds) if isinstance(content, IpfsPlaces) else None


def peers_of(content: Content) -> list[str]:
    """The multiaddresses that the settings name."""
    return content.peers if isinstance(content, IpfsPlaces) else []


def discover(
    network: Network,
    directory: Directory | None,
    peers: Sequence[str],
    registry: NodeList,
    store: ContentStore,
    clock: Callable[[], float],
    limits: Limits = Limits(),
    wanted: Callable[[], bool] = lambda: True,
) -> list[FoundNode]:
    """The nodes of a network, by id: first those on the DHT, then others on chain, then those at `peers`.

    `peers` are connected first, because the DHT is reached through them. `clock` gives seconds since the epoch. Records
    that are forged, stale or of another network, and peers that do not answer, are logged and skipped; nothing is
    raised for them. Once `wanted` returns False, no more requests are made. Blocks.
    """
    finding = _Finding(network, directory, clock, limits, wanted)
    finding.connect(peers)
    dht = finding.provided()
    registered = _registered(registry) if wanted() else None
    known = {record.peer_id for record in dht}
    direct = finding.records(sorted({peer for peer in map(peer_in, peers) if peer} - known))
    merged = merge(dht, registered, direct)
    for reason in merged.dropped:
        log.warning("left out: %s", reason)
    return _with_manifests(merged.nodes, NodeManifests(store))


def peer_in(multiaddress: str) -> str:
    """The peer id that a multiaddress ends with; empty if it does not."""
    before, marker, peer_id = multiaddress.rpartition("/p2p/")
    return peer_id if before and marker else ""


class _Finding:
    """One search through one IPFS node; without an IPFS node it finds nothing."""

    def __init__(
        self,
        network: Network,
        directory: Directory | None,
        clock: Callable[[], float],
        limits: Limits,
        wanted: Callable[[], bool],
    ) -> None:
        self._network, self._directory, self._clock, self._limits = network, directory, clock, limits
        self._wanted = wanted

    def connect(self, peers: Iterable[str]) -> None:
        """Connect to each address; one that does not answer is skipped."""
        for peer in peers:
            if self._directory is None or not self._wanted():
                return
            try:
                self._directory.connect(peer)
            except ContentError as error:
                log.warning("cannot reach the IPFS node at %s: %s", peer, error)

    def provided(self) -> list[NodeRecord]:
        """The records of the peers that provide the network's rendezvous."""
        if self._directory is None or not self._wanted():
            return []
        cid = cid_of_bytes(rendezvous(self._network.chain_id, self._network.contract or ""))
        try:
            found = self._directory.find_providers(cid, self._limits.providers, self._limits.seconds)
        except ContentError as error:
            log.warning("cannot read nodes from the DHT: %s", error)
            return []
        return self.records(sorted({provider.peer_id for provider in found}))

    def records(self, peer_ids: Sequence[str]) -> list[NodeRecord]:
        """The valid records that these peers publish, requested a few at a time."""
        if self._directory is None or not peer_ids:
            return []
        with ThreadPoolExecutor(self._limits.at_once) as pool:
            found = pool.map(partial(self._record, self._directory), peer_ids)
            return [record for record in found if record is not None]

    def _record(self, directory: Directory, peer_id: str) -> NodeRecord | None:
        if not self._wanted():
            return None
        try:
            cid = directory.resolve_name(peer_id, self._limits.seconds)
            data = directory.block(cid, self._limits.seconds)
            if cid_of_bytes(data) != cid:
                raise CorruptContent(f"The bytes received for {cid} have the CID {cid_of_bytes(data)}.")
            return verify(
                parse_record(data),
                chain_id=self._network.chain_id,
                contract=self._network.contract or "",
                peer_id=peer_id,
                now=self._clock(),
            )
        except (ContentError, VerificationError) as error:
            log.warning("the peer %s is left out: %s", peer_id, error)
            return None


def _registered(registry: NodeList) -> list[Node] | None:
    try:
        return registry.nodes()
    except ChainError as error:
        log.warning("cannot read the owners of the nodes from the chain: %s", error)
        return None


def _with_manifests(nodes: list[FoundNode], manifests: NodeManifests) -> list[FoundNode]:
    """All nodes; those without a record get their manifest on chain, if it can be read."""
    lacking = {node.node_id: node.registered.manifest for node in nodes if node.registered and not node.record}
    manifests.read(lacking.values())
    return [
        replace(node, manifest=manifests.get(lacking[node.node_id])) if node.node_id in lacking else node
        for node in nodes
    ]
