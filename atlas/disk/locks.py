"""Advisory locks on files; the kernel releases them when their holder ends, even by a crash."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.disk.files import naming
from atlas.errors import AtlasError, DiskError

POLL_SECONDS = 0.05


@contextmanager
def shared(path: Path, error: type[AtlasError] = DiskError) -> Iterator[None]:
    """Hold the lock in shared mode; waits for an exclusive holder."""
    with _opened(path, error) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def exclusive(path: Path, error: type[AtlasError] = DiskError) -> Iterator[None]:
    """Hold the lock exclusively; waits for it."""
    with _opened(path, error) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def try_exclusive(path: Path, error: type[AtlasError] = DiskError, seconds: float = 0.0) -> Iterator[bool]:
    """Hold the lock exclusively if it becomes free within `seconds`; yields whether it did."""
    deadline = time.monotonic() + seconds
    with _opened(path, error) as descriptor:
        while not (mine := _taken(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield mine


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock."""
    with try_exclusive(path) as mine:
        return mine


def is_held(path: Path) -> bool:
    """Whether a process holds the lock exclusively; creates nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _taken(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, operation: int) -> bool:
    """Take the lock if it is free now."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path, error: type[AtlasError]) -> Iterator[int]:
    """A descriptor of the lock file, created (mode 600) with its folders if missing; raises `error`, which names it."""
    with naming(path, error):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
