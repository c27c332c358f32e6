"""What to do next, as a pure function of what is: the tasks in hand, who runs, and what the chain says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain_bridge.client.messages import Lease

LOOKS = 2
"""Looks at the chain that must find a lease gone: behind one address there may be a server that lags."""


@dataclass(frozen=True)
class Start:
    """Begin or go on with a task in a free slot."""

    task: str
    slot: int


@dataclass(frozen=True)
class Drop:
    """Give a task up: its lease is somebody else's, or nobody's, by now."""

    task: str


@dataclass(frozen=True)
class Observed:
    """Everything that the decision depends on.

    `misses` says of each task how many looks at the chain in a row found its lease not ours; 0 is a lease in hand.
    A task that is not in it is *unknown*, which is not the same as lost: it keeps its trainer if it has one, and
    waits if it has none.
    """

    unfinished: Sequence[str]
    running: Mapping[str, int]
    misses: Mapping[str, int]
    slots: int
    stopping: bool = False


def plan(observed: Observed) -> list[Drop | Start]:
    """Drop what the chain has taken away, then fill free slots in the order in which tasks were accepted."""
    drops: list[Drop | Start] = [Drop(task) for task in observed.unfinished if observed.misses.get(task, 0) >= LOOKS]
    if observed.stopping:
        return drops
    free = [slot for slot in range(observed.slots) if slot not in observed.running.values()]
    ready = [task for task in observed.unfinished if observed.misses.get(task) == 0 and task not in observed.running]
    return drops + [Start(task, slot) for task, slot in zip(ready, free, strict=False)]


def still_held(lease: Lease | None, node: int, attempt: int, plan_cid: str, now: float) -> bool:
    """Whether a lease is still ours to work on.

    An active lease that is in time counts even when the chain calls it not live, since then it has merely not heard
    of us for a while, and our next heartbeat revives it.
    """
    if lease is None or lease.state != "active":
        return False
    return (lease.node, lease.attempt, lease.plan) == (node, attempt, plan_cid) and in_time(lease, now)


def in_time(lease: Lease, now: float) -> bool:
    """Whether work on an active lease may still count."""
    return lease.live or now <= lease.until
