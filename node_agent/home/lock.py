"""One agent per folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from atlas.disk.files import open_lock
from node_agent.errors import NodeError
from node_agent.home.config import NodeHome

TRIES, PAUSE_SECONDS = 5, 0.1


@contextmanager
def only_agent(home: NodeHome) -> Iterator[None]:
    """Hold the folder's lock; raises `NodeError` when another agent runs in it.

    The kernel releases it after a crash, too.
    """
    with os.fdopen(open_lock(home.lock, NodeError), "r+") as file:
        if not _lock(file):
            raise NodeError(f"An agent runs in {home.root} already. Stop it, or use another --home.")
        yield


def is_running(home: NodeHome) -> bool:
    """Whether an agent holds the folder's lock."""
    if not home.lock.exists():
        return False
    with home.lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(file: IO[str]) -> bool:
    """Try to take the lock, several times, because `is_running` also holds it briefly."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False
