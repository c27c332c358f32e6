"""The shared dependencies of a node's task runs."""

from collections.abc import Callable
from dataclasses import dataclass

from atlas.content.store import ContentStore
from atlas.ids import JobId
from atlas.signing import KeyHolder
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.home.journal import Journal
from node_agent.home.residuals import Residuals
from node_agent.wire.bus import Bus


@dataclass(frozen=True)
class NodeContext:
    """The node's folder, settings, journal, content and residuals, the bus connection and the signing key.

    `clock` gives the time in unix seconds.
    """

    home: NodeHome
    config: NodeConfig
    journal: Journal
    store: ContentStore
    residuals: Residuals
    bus: Bus
    signer: KeyHolder
    clock: Callable[[], float]
    owner_of: Callable[[JobId], str]
    """The account that owns a job, by the chain. Blocks; raises `ChainError`."""
