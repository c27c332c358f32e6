"""Check a SQLite file for damage, without changing it or its journal files."""

import fcntl
import os
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from atlas.disk.files import describe_os_error
from atlas.disk.sqlite_file import SqliteFile, has_log, what_is_lost

_WAIT_SECONDS = 5.0
# Every connection to a file in WAL mode holds a lock on these bytes (SHARED_FIRST and SHARED_SIZE in its os_unix.c).
_LOCK_START, _LOCK_BYTES = 0x40000002, 510


def find_damage(file: SqliteFile) -> str | None:
    """The damage of a file and the remedy, in sentences; None when it is intact. Reads the whole file."""
    try:
        return _damage(file) and _damage(file)  # twice: a concurrent writer may make an intact file look damaged
    except OSError as error:
        return f"{file.path} ({file.holds}) cannot be read: {describe_os_error(error)}"


def _damage(file: SqliteFile) -> str | None:
    try:
        loss = what_is_lost(file.path)
        if loss is None:
            with TemporaryDirectory() as folder, closing(_open(file.path, Path(folder))) as database:
                found = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
            loss = None if found == ["ok"] else "; ".join(found)
    except sqlite3.Error as error:
        return file.explain(error)
    return None if loss is None else f"{file.path} ({file.holds}) is damaged: {loss}. {file.remedy}"


def refuse_unreadable(file: SqliteFile) -> None:
    """Raise the file's error when its header is damaged or the file is truncated; reads only a small part of it."""
    if loss := what_is_lost(file.path):
        raise file.error(f"{file.path} ({file.holds}) is damaged: {loss}. {file.remedy}")
    with file.problems():
        read_rows(file.path, "SELECT name FROM sqlite_master")


def read_rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, read without a change to anything; raises `sqlite3.Error` and `OSError`."""
    with TemporaryDirectory() as folder, closing(_open(path, Path(folder))) as database:
        return database.execute(query).fetchall()


def _open(path: Path, scratch: Path) -> sqlite3.Connection:
    """A read-only connection.

    To read a log that a killed process left, SQLite would have to write files next to it. So this uses a copy in
    `scratch`.
    """
    journal = path.with_name(f"{path.name}-journal")
    options = "mode=ro"
    if _in_use(path):
        pass
    elif has_log(path) or journal.exists():
        for name in (path.name, f"{path.name}-wal", journal.name):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), scratch / name)
        path, options = scratch / path.name, "mode=rw"
    else:
        options = "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=_WAIT_SECONDS)


def _in_use(path: Path) -> bool:
    """Whether another process has the file open in WAL mode, detected by its lock (Linux only)."""
    with path.open("rb") as file:
        asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _LOCK_START, _LOCK_BYTES, 0)
        answer = fcntl.fcntl(file, fcntl.F_GETLK, asked)
    return bool(struct.unpack("hhqqi", answer)[0] != fcntl.F_UNLCK)
