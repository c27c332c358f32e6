"""Atomic file writes, safe under `kill -9` and power failures."""

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from atlas.errors import AtlasError, DiskError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def new_file(
    path: Path,
    error: type[AtlasError] = DiskError,
    keep_first: bool = False,
    folder_mode: int = 0o777,
    durable: bool = True,
) -> Iterator[Path]:
    """A path to write a file to; when the block ends without an exception, the file is renamed to `path`.

    Without `durable` a power failure may lose the file, which suffices if the content store copies it at once. With
    `keep_first` an existing file at `path` is kept. Missing folders are created. If the block raises, no file remains.
    An `OSError`, also from the block, becomes `error`, which names the file and the remedy.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        yield temporary
        if durable:
            sync(temporary)
        if keep_first:
            with suppress(FileExistsError):
                path.hardlink_to(temporary)
        else:
            temporary.replace(path)
        if durable:
            sync(path.parent)
    except OSError as problem:
        raise error(f"Cannot write {path}: {describe_os_error(problem)}") from problem
    finally:
        # On a read-only file system, even removing a missing file raises an error.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_file(
    path: Path,
    data: bytes,
    error: type[AtlasError] = DiskError,
    keep_first: bool = False,
    mode: int = 0o666,
    folder_mode: int = 0o777,
) -> None:
    """Write a file atomically; the modes are permissions before the umask. Raises as `new_file` does."""
    with new_file(path, error, keep_first, folder_mode) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def read_if_there(path: Path) -> bytes | None:
    """The bytes of a file; None if it does not exist, also if a part of its path is a file instead of a folder."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, durable (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path, error: type[AtlasError] = DiskError) -> Iterator[None]:
    """Turn an `OSError` of the block into `error`, which names the path and the remedy."""
    try:
        yield
    except OSError as problem:
        raise error(f"Cannot write {path}: {describe_os_error(problem)}") from problem


def describe_os_error(error: OSError) -> str:
    """The system's message and a remedy, as one or two sentences."""
    return f"{error.strerror or error}. {disk_advice(error) or 'Check the path and its file system.'}"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, reports a full disk."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if means_disk_full(error):
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


def means_disk_full(error: BaseException) -> bool:
    """Whether this error of the system or of SQLite reports a full disk."""
    code = getattr(error, "sqlite_errorcode", 0)
    # SQLITE_IOERR_SHMSIZE: no space for the shared-memory file of the WAL, which the first reader creates.
    full = code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE
    return full or (isinstance(error, OSError) and error.errno in _FULL)


def disk_advice(error: BaseException) -> str | None:
    """The remedy for a full or read-only disk, as a sentence; None for other errors."""
    # SQLAlchemy, which Dagster uses, wraps an error of the database driver and keeps it as `orig`.
    cause = getattr(error, "orig", None) or error
    if means_disk_full(cause):
        return "Free some space on that file system, then try again."
    if isinstance(cause, OSError) and cause.errno in _READ_ONLY:
        return "Check the permissions of the folder, and that its file system is mounted for writing."
    return None
