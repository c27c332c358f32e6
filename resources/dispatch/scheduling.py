"""Assignment of slots to nodes: pure decisions from the nodes' state on chain."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from atlas.ids import NodeId
from chain_bridge.client.messages import Node
from resources.placement.filters import CONTRACT, Candidate, Needs, obstacle


def eligible_nodes(nodes: Sequence[Node], now: float, heartbeat_seconds: int) -> list[Node]:
    """The nodes that the contract accepts for work, full or not; `now` is in seconds since the epoch."""
    needs = Needs(now, heartbeat_seconds)
    return [node for node in nodes if obstacle(Candidate(node), needs, CONTRACT) is None]


def able_nodes(nodes: Sequence[Node], only: str | None) -> Sequence[Node]:
    """The nodes that can work on a slot: all, or the one of the address `only`, which alone has the data."""
    return nodes if only is None else [node for node in nodes if node.owner == only]


def plan_assignments(
    wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[NodeId]], only: Mapping[int, str]
) -> list[tuple[int, NodeId]]:
    """Assign a node id to each wanted slot, in slot order, while the eligible `nodes` have room.

    A slot in `only` is assigned before other slots, to the node of that address or to none, even if that node is in
    `avoid`.

    The node with the smallest share of its capacity in use comes first; on a tie the one with the higher reputation,
    then the lower id. A node in `avoid` gets the slot only when no other node is eligible at all: if the others are
    merely full, the slot waits. A node's slots are adjacent where there are no constraints: the contract then writes
    fewer records.
    """
    shared = _share_out(wanted, nodes, avoid, only)
    anywhere = sorted(slot for slot in shared if not avoid.get(slot) and slot not in only)
    runs = zip(anywhere, sorted(shared[slot] for slot in anywhere), strict=True)
    return sorted({**shared, **dict(runs)}.items())


def _share_out(
    wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[NodeId]], only: Mapping[int, str]
) -> dict[int, NodeId]:
    """Assign each slot to the node with the most room, slots in `only` first: slot -> node id."""
    used = {node.id: node.used for node in nodes}
    shared: dict[int, NodeId] = {}
    for slot in sorted(wanted, key=lambda slot: (slot not in only, slot)):
        excluded_nodes = avoid.get(slot, ())
        able = able_nodes(nodes, only.get(slot))
        candidates = [node for node in able if node.id not in excluded_nodes] or able
        free = [node for node in candidates if used[node.id] < node.capacity]
        if not free:
            continue
        chosen = min(free, key=lambda node: (Fraction(used[node.id], node.capacity), -node.reputation, node.id))
        used[chosen.id] += 1
        shared[slot] = chosen.id
    return shared
