"""Who does what: pure decisions over what the chain says about the nodes."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from chain_bridge.messages import Node


def eligible_nodes(nodes: Sequence[Node], now: float, heartbeat_seconds: int) -> list[Node]:
    """The compute nodes that the contract would give work to if they had room: active, in repute, heard of lately.

    `now` is in seconds since the epoch.
    """
    return [
        node
        for node in nodes
        if node.kind == "compute"
        and node.status == "active"
        and node.reputation > 0
        and now <= node.last_seen + heartbeat_seconds
    ]


def plan_assignments(
    wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[int]]
) -> list[tuple[int, int]]:
    """Give each wanted slot a node id, in slot order, for as long as the eligible `nodes` have room.

    The node with the smallest share of its capacity in use comes first; on a tie the one of better repute, then
    the lower id. A node to avoid for a slot gets it only when no other node is eligible at all: if the others are
    merely full, the slot waits. A node's slots lie side by side where nothing is to be avoided: the contract then
    has fewer records to write.
    """
    shared = _share_out(wanted, nodes, avoid)
    anywhere = [slot for slot in shared if not avoid.get(slot)]
    runs = zip(anywhere, sorted(shared[slot] for slot in anywhere), strict=True)
    return sorted({**shared, **dict(runs)}.items())


def _share_out(wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[int]]) -> dict[int, int]:
    """One slot after another to the node with the most room: slot -> node id, in slot order."""
    used = {node.id: node.used for node in nodes}
    shared = {}
    for slot in sorted(wanted):
        shunned = avoid.get(slot, ())
        candidates = [node for node in nodes if node.id not in shunned] or nodes
        free = [node for node in candidates if used[node.id] < node.capacity]
        if not free:
            continue
        chosen = min(free, key=lambda node: (Fraction(used[node.id], node.capacity), -node.reputation, node.id))
        used[chosen.id] += 1
        shared[slot] = chosen.id
    return shared
