"""Locks between the processes that share a store's folder; the kernel frees those of a process that died."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from atlas.content.local.files import remove_path


@contextmanager
def locked(path: Path, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a file, waiting until it is free. The file is created if missing and never removed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A new locked folder within `folder`; removed with its contents on exit."""
    while True:
        path = folder / secrets.token_hex(8)
        path.mkdir(mode=0o700, parents=True)
        descriptor = _lock(path)
        if descriptor is not None:
            break
    try:
        yield path
    finally:
        remove_path(path)
        os.close(descriptor)


def sweep(folder: Path, unused_since: float) -> None:
    """Remove unlocked entries last changed before `unused_since`, such as leftovers of a killed process."""
    for path in folder.glob("*"):
        with suppress(FileNotFoundError, PermissionError):
            if path.stat().st_mtime <= unused_since:
                remove_unlocked(path)


def remove_unlocked(path: Path) -> None:
    """Remove a file or folder, unless another process has locked it to use or remove it."""
    descriptor = _lock(path)
    if descriptor is not None:
        try:
            remove_path(path)
        finally:
            os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor that holds a lock on the file or folder `path`; None when another process locks or removes it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
