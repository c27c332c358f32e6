"""Dependencies, settings and callbacks of a dispatcher."""

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
    """Intervals and time limits, in seconds."""

    poll_seconds: float = 2.0
    """The interval between two polls of the chain, and of a node."""
    answer_seconds: float = 5.0
    """The timeout of a request to a node."""
    patience_seconds: float = 120.0
    """Seconds that a task waits for an available node before it is given up."""
    chain_patience_seconds: float = 600.0
    """How long a run continues while the chain does not answer."""
    longest_pause_seconds: float = 30.0
    """The longest interval between two polls of a chain that does not answer."""
    presence_seconds: float = 30.0
    """The interval between two announcements of the coordinator's presence."""


@dataclass(frozen=True)
class Tools:
    """External dependencies of a dispatcher. `clock` gives seconds since the epoch."""

    ledger: Ledger
    bus: "Bus"
    store: ContentStore
    registry: JobRegistry
    clock: Callable[[], float]
    settings: DispatchSettings


@dataclass(frozen=True)
class Listener:
    """Callbacks of a run: updates, the environment for trainers' Dagster Pipes messages, and the check of results."""

    on_update: Callable[[TaskUpdate], None]
    pipes_env: Callable[[TaskSpec], dict[str, str]]
    check: CheckUpdate
