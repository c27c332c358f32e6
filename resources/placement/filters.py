"""Which nodes can take a job's tasks, and why the others cannot. Pure; a filter is a function with one reason."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from chain_bridge.client.messages import Node


@dataclass(frozen=True)
class Candidate:
    """A registered node, and what its manifest says; None for what is unknown."""

    node: Node
    price: int | None = None
    """The least reward per task that it works for, in micro-units."""
    slot_memory: int | None = None
    """Bytes of memory per task; None for a node with GPUs, whose memory no manifest has."""


@dataclass(frozen=True)
class Needs:
    """What a job's tasks need of a node. `now` is in seconds since the epoch, `reward` in micro-units per task."""

    now: float
    heartbeat_seconds: int
    reward: int = 0
    memory: int | None = None
    """Bytes that a task takes; None if unknown."""
    revoked: Collection[str] = ()
    """Addresses that get no key of the job's data."""


Filter = Callable[[Candidate, Needs], str | None]
"""Returns why the node cannot take a task; None if it can, or if that is unknown."""


def trains(candidate: Candidate, needs: Needs) -> str | None:
    """The node's role is to compute."""
    kind = candidate.node.kind
    return None if kind == "compute" else f"its role is {kind}"


def is_active(candidate: Candidate, needs: Needs) -> str | None:
    """The contract counts it as active."""
    status = candidate.node.status
    return None if status == "active" else f"it is {status} on chain"


def has_reputation(candidate: Candidate, needs: Needs) -> str | None:
    """Its reputation is above 0."""
    return None if candidate.node.reputation > 0 else "its reputation is 0"


def is_alive(candidate: Candidate, needs: Needs) -> str | None:
    """Its newest heartbeat on chain is recent."""
    age = needs.now - candidate.node.last_seen
    return (
        None
        if age <= needs.heartbeat_seconds
        else f"its last heartbeat was {age:.0f} s ago, the limit is {needs.heartbeat_seconds} s"
    )


def is_affordable(candidate: Candidate, needs: Needs) -> str | None:
    """Its price is at most the reward."""
    if candidate.price is None or candidate.price <= needs.reward:
        return None
    return f"its price is {candidate.price} per task, and the job pays {needs.reward}"


def gets_keys(candidate: Candidate, needs: Needs) -> str | None:
    """It is not revoked in the key ring of the job's data."""
    return "it is revoked in the key ring of the data" if candidate.node.owner in needs.revoked else None


def has_memory(candidate: Candidate, needs: Needs) -> str | None:
    """Its memory per task is at least what a task takes."""
    if candidate.slot_memory is None or needs.memory is None or candidate.slot_memory >= needs.memory:
        return None
    return f"it has {_gib(candidate.slot_memory)} per task, and a task takes about {_gib(needs.memory)}"


CONTRACT: tuple[Filter, ...] = (trains, is_active, has_reputation, is_alive)
"""The contract refuses a lease to a node that one of these refuses."""
FILTERS: tuple[Filter, ...] = (*CONTRACT, is_affordable, gets_keys, has_memory)


def obstacle(candidate: Candidate, needs: Needs, filters: Sequence[Filter] = FILTERS) -> str | None:
    """The first reason why the node cannot take a task; None if it fits."""
    return next((reason for one in filters if (reason := one(candidate, needs)) is not None), None)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
