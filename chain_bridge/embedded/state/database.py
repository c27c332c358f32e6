"""The chain's whole state in one SQLite file; committed transactions are atomic and survive `kill -9`."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.disk.sqlite_file import SqliteFile, primary_code
from chain_bridge.embedded.errors import StateDamaged, StateNotWritten
from chain_bridge.errors import ChainError

_VERSION = 2
_SCHEMA = """
CREATE TABLE chain(chain_id TEXT NOT NULL, prefix TEXT NOT NULL, denom TEXT NOT NULL);
CREATE TABLE genesis(address TEXT PRIMARY KEY, amount TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts(address TEXT PRIMARY KEY, sequence INTEGER NOT NULL, has_key INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE balances(address TEXT, denom TEXT, amount TEXT NOT NULL, PRIMARY KEY(address, denom)) WITHOUT ROWID;
CREATE TABLE fee_grants(granter TEXT, grantee TEXT, expires_ns INTEGER, record BLOB NOT NULL,
                        PRIMARY KEY(granter, grantee)) WITHOUT ROWID;
CREATE TABLE codes(id INTEGER PRIMARY KEY, checksum BLOB NOT NULL, creator TEXT NOT NULL, wasm BLOB NOT NULL);
CREATE TABLE contracts(id INTEGER PRIMARY KEY, address TEXT UNIQUE NOT NULL, code_id INTEGER NOT NULL,
                       creator TEXT NOT NULL, admin TEXT NOT NULL, label TEXT NOT NULL, height INTEGER NOT NULL);
CREATE TABLE state(contract TEXT, key BLOB, value BLOB NOT NULL, PRIMARY KEY(contract, key)) WITHOUT ROWID;
CREATE TABLE blocks(height INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE transactions(hash TEXT PRIMARY KEY, height INTEGER UNIQUE NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE attributes(name TEXT, value TEXT, height INTEGER, PRIMARY KEY(name, value, height)) WITHOUT ROWID;
"""
# SQLite's codes for a full, failing or read-only disk (https://www.sqlite.org/rescode.html).
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class Database:
    """One connection; callers in several threads must hold a lock around each use."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises `ChainError` when it is damaged or of another version."""
        self._file = chain_file(path)
        self._file.create(_SCHEMA, _VERSION)
        self._connection = self._file.connect(any_thread=True, cached_statements=256)
        self._depth = 0
        # Statement journals are kept in memory, because the disk may be full.
        self.execute("PRAGMA temp_store = MEMORY")

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run one statement; raises `StateNotWritten` when the disk refuses the write, and `StateDamaged`."""
        try:
            return self._connection.execute(statement, values)
        except sqlite3.DatabaseError as error:
            code = primary_code(error)
            if code in _DISK:
                raise StateNotWritten(self._file.explain(error)) from error
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise StateDamaged(self._file.explain(error)) from error
            raise

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Commit the block's changes, or undo all of them if it raises; `keep=False` always undoes (a simulation)."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT" if keep else "ROLLBACK")
        finally:
            # The transaction is still open if the block or the commit failed; on a full disk, SQLite closes it itself.
            if self._connection.in_transaction:
                self.execute("ROLLBACK")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: undo the block's changes if it raises. Savepoints nest."""
        name = f"s{self._depth}"
        self._depth += 1
        self.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            # A full disk may have ended the whole transaction, and every savepoint with it.
            if self._connection.in_transaction:
                self.execute(f"ROLLBACK TO {name}")
                self.execute(f"RELEASE {name}")
            raise
        else:
            self.execute(f"RELEASE {name}")
        finally:
            self._depth -= 1

    def close(self) -> None:
        """Close the file; SQLite merges the write-ahead log into it."""
        self._connection.close()


def chain_file(path: Path) -> SqliteFile:
    """The chain's file at `path`; it raises `ChainError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="the embedded chain: jobs, nodes, leases and balances of the local network",
        remedy=f"Restore {path.name} from a backup, together with its -wal file. Without a backup, move the folder "
        f"{path.parent} away: a new chain begins, without the jobs, nodes and credits of the old one.",
        error=ChainError,
    )
