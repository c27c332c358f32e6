"""The node's next actions, as a pure function of its tasks, its running trainers, and its leases on chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atlas.ids import Cid, NodeId
from chain_bridge.client.messages import Lease

LOOKS = 2
"""Consecutive polls that must report the lease gone: one RPC address may front a lagging replica."""


@dataclass(frozen=True)
class Start:
    """Start or resume a task in a free slot."""

    task: Cid
    slot: int


@dataclass(frozen=True)
class Drop:
    """Drop a task whose lease this node no longer holds."""

    task: Cid


@dataclass(frozen=True)
class Observed:
    """The inputs of the decision.

    `misses` has, for each task, the number of consecutive polls of the chain in which this node did not hold its lease;
    0 means that it does. A task without a count is *unknown*, not lost: it keeps its trainer if it has one, and waits
    if it has none.
    """

    unfinished: Sequence[Cid]
    running: Mapping[Cid, int]
    misses: Mapping[Cid, int]
    slots: int
    stopping: bool = False


def plan(observed: Observed) -> list[Drop | Start]:
    """Drop tasks whose leases are gone, then fill free slots in the order in which tasks were accepted."""
    drops: list[Drop | Start] = [Drop(task) for task in observed.unfinished if observed.misses.get(task, 0) >= LOOKS]
    if observed.stopping:
        return drops
    free = [slot for slot in range(observed.slots) if slot not in observed.running.values()]
    ready = [task for task in observed.unfinished if observed.misses.get(task) == 0 and task not in observed.running]
    return drops + [Start(task, slot) for task, slot in zip(ready, free, strict=False)]


def still_held(lease: Lease | None, node: NodeId, attempt: int, plan_cid: Cid, now: float) -> bool:
    """Whether this node still holds a lease.

    An active lease that is in time counts even if it is not live on chain: then heartbeats are missing, and the node's
    next heartbeat makes it live again.
    """
    if lease is None or lease.state != "active":
        return False
    return (lease.node, lease.attempt, lease.plan) == (node, attempt, plan_cid) and in_time(lease, now)


def in_time(lease: Lease, now: float) -> bool:
    """Whether work on an active lease may still count."""
    return lease.live or now <= lease.until
