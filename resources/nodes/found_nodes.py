"""Found nodes, and which record of a node counts when several sources have one. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from atlas.documents.node_record import NodeRecord
from atlas.ids import NodeId
from chain_bridge.client.messages import Node, NodeKind
from node_agent.presence.machine import NodeManifest

Source = Literal["dht", "chain", "direct"]


@dataclass(frozen=True)
class FoundNode:
    """One node, its first source (`dht` before `chain` before `direct`), and what is known of it."""

    node_id: NodeId
    address: str
    source: Source
    record: NodeRecord | None = None
    """The node's signed record; None for a node that was only found on chain."""
    registered: Node | None = None
    """The node's entry on chain; None if the chain does not answer."""
    manifest: NodeManifest | None = None
    """The node's manifest on chain, if there is no record."""

    @property
    def price(self) -> int | None:
        """The least reward per task that it works for, in micro-units; None if unknown."""
        said = self.record or self.manifest
        return said.price if said else None

    @property
    def reputation(self) -> int | None:
        """The reputation on chain, or that of the record if the chain does not answer."""
        known = self.registered or self.record
        return known.reputation if known else None

    @property
    def role(self) -> NodeKind | None:
        """What the node is registered for; None while the chain does not answer."""
        return self.registered.kind if self.registered else None

    @property
    def status(self) -> str:
        """On chain: active, jailed or retired; unknown while the chain does not answer."""
        return self.registered.status if self.registered else "unknown"

    @property
    def last_seen(self) -> int:
        """Seconds since the epoch: its newest heartbeat on chain, or its record if that is newer; 0 for never."""
        on_chain = self.registered.last_seen if self.registered else 0
        return max(on_chain, self.record.made_at if self.record else 0)

    @property
    def hardware(self) -> str:
        """A short description of the hardware; empty if unknown."""
        said = self.record or self.manifest
        if said is None:
            return ""
        gpus = ", ".join(said.gpus) or "no GPU"
        return f"{gpus}; {said.cores} cores, {said.memory_bytes / 2**30:.0f} GiB"


class Merged(NamedTuple):
    """The nodes by id, and the reasons why records were left out."""

    nodes: list[FoundNode]
    dropped: list[str]


def merge(dht: Iterable[NodeRecord], registered: Sequence[Node] | None, direct: Iterable[NodeRecord]) -> Merged:
    """List every node once; of several records of a node the newest counts.

    `registered` is None if the chain does not answer: then only verified records are available, and since the owner of
    a node is unknown, each account that claims its id is listed.
    """
    owners = None if registered is None else {node.id: node.owner for node in registered}
    dropped: list[str] = []
    newest: dict[tuple[NodeId, str], tuple[NodeRecord, Source]] = {}
    said: tuple[tuple[Source, Iterable[NodeRecord]], ...] = (("dht", dht), ("direct", direct))
    for source, records in said:
        for record in records:
            if owners is not None and owners.get(record.node_id) != record.address:
                dropped.append(_not_the_owner(record, owners.get(record.node_id)))
                continue
            key = record.node_id, record.address
            known, first = newest.get(key, (record, source))
            newest[key] = max(known, record, key=lambda one: (one.made_at, one.peer_id, one.cid)), first
    nodes = [
        FoundNode(node.id, node.owner, "chain", None, node)
        if (word := newest.pop((node.id, node.owner), None)) is None
        else FoundNode(node.id, node.owner, "dht" if word[1] == "dht" else "chain", word[0], node)
        for node in registered or ()
    ]
    nodes += [FoundNode(*key, source, record) for key, (record, source) in newest.items()]
    return Merged(sorted(nodes, key=lambda node: (node.node_id, node.address)), dropped)


def _not_the_owner(record: NodeRecord, owner: str | None) -> str:
    who = f"belongs to {owner} on chain" if owner else "is not on chain"
    return f"the record of node {record.node_id} is by {record.address}, but that node {who}"
