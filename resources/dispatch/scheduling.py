"""Who does what: pure decisions over what the chain says about the nodes."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from chain_bridge.client.messages import Node


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


def able_nodes(nodes: Sequence[Node], only: str | None) -> Sequence[Node]:
    """The nodes that could do the work of a slot: all, or the one of this address, which alone has the data."""
    return nodes if only is None else [node for node in nodes if node.owner == only]


def plan_assignments(
    wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[int]], only: Mapping[int, str]
) -> list[tuple[int, int]]:
    """Give each wanted slot a node id, in slot order, for as long as the eligible `nodes` have room.

    A slot in `only` goes to the node of that address or to none, be it to avoid or not, and before other slots.

    The node with the smallest share of its capacity in use comes first; on a tie the one of better repute, then
    the lower id. A node to avoid for a slot gets it only when no other node is eligible at all: if the others are
    merely full, the slot waits. A node's slots lie side by side where nothing is to be avoided: the contract then
    has fewer records to write.
    """
    shared = _share_out(wanted, nodes, avoid, only)
    anywhere = sorted(slot for slot in shared if not avoid.get(slot) and slot not in only)
    runs = zip(anywhere, sorted(shared[slot] for slot in anywhere), strict=True)
    return sorted({**shared, **dict(runs)}.items())


def _share_out(
    wanted: Sequence[int], nodes: Sequence[Node], avoid: Mapping[int, Collection[int]], only: Mapping[int, str]
) -> dict[int, int]:
    """One slot after another to the node with the most room, those in `only` first: slot -> node id."""
    used = {node.id: node.used for node in nodes}
    shared = {}
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
