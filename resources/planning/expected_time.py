"""The expected duration of a round's training, from the assignment that the dispatcher would make. Pure."""

from collections.abc import Mapping, Sequence

from chain_bridge.client.messages import Node
from resources.dispatch.scheduling import plan_assignments


def expected_seconds(tokens: Sequence[int], nodes: Sequence[Node], speeds: Mapping[int, float]) -> float | None:
    """Seconds until all tasks of a round are trained; `tokens` are those of each slot's task, in slot order.

    `speeds` are the measured tokens per second of one task, by node id. Tasks are assigned as the dispatcher assigns
    them to `nodes` without other work; those that do not fit are assigned once the others have ended. None if no node
    is given, or if a node that gets a task has no measured speed.
    """
    free = [node.model_copy(update={"used": 0}) for node in nodes if node.capacity > 0]
    waiting, seconds = list(range(len(tokens))), 0.0
    while waiting:
        assigned = plan_assignments(waiting, free, {}, {})
        if not assigned or any(not speeds.get(node) for _, node in assigned):
            return None
        seconds += max(tokens[slot] / speeds[node] for slot, node in assigned)
        waiting = sorted(set(waiting) - {slot for slot, _ in assigned})
    return seconds
