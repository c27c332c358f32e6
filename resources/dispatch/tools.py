"""What a dispatcher works with, and who listens to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.content.store import ContentStore
from atlas.spec.job import TaskSpec
from chain_bridge.ledger import Ledger
from resources.dispatch.outcomes import TaskUpdate
from resources.dispatch.receiving import CheckUpdate
from resources.jobs.registry import JobRegistry

if TYPE_CHECKING:
    from node_agent.wire.bus import Bus


@dataclass(frozen=True)
class DispatchSettings:
    """How often and how long; all in seconds."""

    poll_seconds: float = 2.0
    """Between two looks at the chain, and between two questions to a node."""
    answer_seconds: float = 5.0
    """A node's time to answer."""
    patience_seconds: float = 120.0
    """A task waits so long while no node is fit for work, then it is given up."""
    chain_patience_seconds: float = 600.0
    """A run goes on so long while the chain does not answer."""
    longest_pause_seconds: float = 30.0
    """Between two looks at a chain that does not answer."""


@dataclass(frozen=True)
class Tools:
    """The outside of a dispatcher. `clock` gives seconds since the epoch."""

    ledger: Ledger
    bus: "Bus"
    store: ContentStore
    registry: JobRegistry
    clock: Callable[[], float]
    settings: DispatchSettings


@dataclass(frozen=True)
class Listener:
    """Who hears of a run, what its trainers get for their Dagster Pipes messages, and which results pass."""

    on_update: Callable[[TaskUpdate], None]
    pipes_env: Callable[[TaskSpec], dict[str, str]]
    check: CheckUpdate
