"""Advisory locks on files; the kernel releases them when their holder ends, even by a crash."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from atlas.disk.files import open_lock


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock in shared mode; waits for an exclusive holder."""
    with _locked(path, fcntl.LOCK_SH):
        yield


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock exclusively; waits for it."""
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Hold the lock exclusively if it is free; yields whether it was free."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock."""
    with try_exclusive(path) as mine:
        return mine


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
