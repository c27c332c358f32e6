"""A SQLite file in WAL mode, with errors that name the file, its contents and the remedy."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from atlas.disk.files import means_disk_full, new_file
from atlas.errors import AtlasError, DiskError

BUSY_SECONDS = 30.0
# Errors of the program, not of the file (https://peps.python.org/pep-0249/#exceptions).
_PROGRAM = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)


@dataclass(frozen=True)
class SqliteFile:
    """One file. Any number of threads and processes may use it, and any of them may be killed at any time."""

    path: Path
    holds: str
    """A description of the contents for error messages, such as "the coordinator's record of its jobs"."""
    remedy: str
    """The remedy when the file is damaged, as sentences."""
    error: type[AtlasError] = DiskError
    """The error type to raise when the file cannot be used."""

    def create(self, schema: str, version: int = 0) -> None:
        """Create the file with its tables atomically, or check the existing one.

        `version` is the file's `user_version`; with it, the tables of an existing file are not changed. With 0 the
        schema runs on each call, so it must use IF NOT EXISTS. Raises `error` for a file that is damaged, empty, of
        another version, or cannot be created.
        """
        if not os.path.lexists(self.path):
            self._refuse_stray_log()
            self._make(schema, version)
        elif loss := what_is_lost(self.path):
            raise self.error(f"{self.path} ({self.holds}) is damaged: {loss}. {self.remedy}")
        # No transaction: if the tables exist, nothing is written, so this does not wait for a writer.
        with self.problems(), closing(self.connect()) as database:
            (found,) = database.execute("PRAGMA user_version").fetchone()
            if found != version:
                raise self.error(
                    f"{self.path} ({self.holds}) has version {found}, expected {version}. Use the version of Atlas "
                    f"Pipelines that wrote it. If it is damaged: {self.remedy}"
                )
            if not version:
                database.executescript(schema)

    def connect(self, any_thread: bool = False, cached_statements: int = 128) -> sqlite3.Connection:
        """A connection without implicit transactions, whose commits are durable; raises `error`.

        With `any_thread` the caller must ensure that only one thread at a time uses the connection.
        """
        with self.problems():
            connection = sqlite3.connect(
                # Without `rw` SQLite would create a new file in place of a lost one.
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=not any_thread,
                cached_statements=cached_statements,
            )
            try:
                connection.execute("PRAGMA synchronous = FULL")
            except BaseException:
                connection.close()
                raise
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A new connection with one transaction, committed durably when the block ends and rolled back when it raises.

        Safe in any thread and after a fork. Raises `error`.
        """
        with self.problems(), closing(self.connect()) as database, transaction(database):
            yield database

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot write; raises `error`."""
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        with self.problems(), closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database:
            yield database

    @contextmanager
    def problems(self) -> Iterator[None]:
        """Turn SQLite's errors about the file into `error`; programming errors pass unchanged."""
        try:
            yield
        except sqlite3.Error as error:
            if isinstance(error, _PROGRAM):
                raise
            raise self.error(self.explain(error)) from error

    def explain(self, error: sqlite3.Error) -> str:
        """An explanation of SQLite's error for this file, with the remedy (https://www.sqlite.org/rescode.html)."""
        what = f"{self.path} ({self.holds})"
        match primary_code(error):
            case _ if means_disk_full(error):
                return f"{what} cannot be written: the disk is full. Free some space there, then try again."
            case sqlite3.SQLITE_CANTOPEN if not os.path.lexists(self.path):
                return f"{what} is missing. {self.remedy}"
            case sqlite3.SQLITE_CANTOPEN if self.path.is_dir():
                return f"{what} is a folder, expected a file. {self.remedy}"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                return (
                    f"{what} cannot be written: {error}. Check that its folder is mounted for writing and that this "
                    "user may write to it."
                )
            case sqlite3.SQLITE_IOERR:
                return (
                    f"{what} cannot be read or written: the disk fails ({error}, {error.sqlite_errorname}). Check the "
                    "disk, its free space and the limits of this process."
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return f"{what} has been in use by another process for {BUSY_SECONDS:g} s. End that process, or wait."
            case _:
                return f"{what} is damaged: {' '.join(str(error).split())}. {self.remedy}"

    def _refuse_stray_log(self) -> None:
        """Raise `error` if there is a log without its file: SQLite would replay the log into a new file."""
        if has_log(self.path):
            log = log_of(self.path)
            raise self.error(f"{self.path} ({self.holds}) is missing, but its log {log} exists. {self.remedy}")

    def _make(self, schema: str, version: int) -> None:
        with self.problems(), new_file(self.path, self.error, keep_first=True, folder_mode=0o700) as temporary:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(sqlite3.connect(temporary, isolation_level=None)) as database:
                # The temporary file is private, so it needs no durable journal until it is renamed.
                database.execute("PRAGMA journal_mode = MEMORY")
                database.executescript(schema)
                database.execute(f"PRAGMA user_version = {version}")
                database.execute("PRAGMA journal_mode = WAL")


def log_of(path: Path) -> Path:
    """The path of a database's write-ahead log, which holds the newest transactions until a checkpoint."""
    return path.with_name(f"{path.name}-wal")


def has_log(path: Path) -> bool:
    """Whether a database has a non-empty log."""
    try:
        return log_of(path).stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def lacks_log(path: Path) -> bool:
    """Whether a log seems to have been removed: a process that is killed leaves `-wal` and `-shm`, a clean end neither.

    To be called before the database is opened, because opening creates both.
    """
    return path.is_file() and path.with_name(f"{path.name}-shm").exists() and not log_of(path).exists()


def what_is_lost(path: Path) -> str | None:
    """Describe missing bytes of a database that SQLite would ignore; None when none seem to be missing.

    SQLite treats an empty file as a new database, and pads the last page of a truncated file with zeros
    (https://www.sqlite.org/fileformat.html). If there is a log, it may hold the complete page.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    if size == 0:
        return "it is empty (0 bytes)"
    page = int.from_bytes(header[16:18], "big")
    page_bytes = 65_536 if page == 1 else page
    if header.startswith(b"SQLite format 3\0") and page_bytes and size % page_bytes and not has_log(path):
        return f"it is truncated: {size} bytes are not a whole number of pages of {page_bytes} bytes"
    return None


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Run the block in a transaction: commit at its end, roll back if it raises."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        # Still open if the block or the commit failed; on a full disk SQLite itself may have rolled back.
        if database.in_transaction:
            database.execute("ROLLBACK")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; SQLITE_ERROR for errors that Python itself raised."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
