"""One agent per folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from atlas.disk.locks import is_held, try_exclusive
from node_agent.errors import NodeError
from node_agent.home.config import NodeHome

WAIT_SECONDS = 0.5
"""`is_running` holds the lock briefly."""


@contextmanager
def only_agent(home: NodeHome) -> Iterator[None]:
    """Hold the folder's lock; raises `NodeError` when another agent runs in it."""
    with try_exclusive(home.lock, NodeError, WAIT_SECONDS) as mine:
        if not mine:
            raise NodeError(f"An agent runs in {home.root} already. Stop it, or use another --home.")
        yield


def is_running(home: NodeHome) -> bool:
    """Whether an agent holds the folder's lock."""
    return is_held(home.lock)
