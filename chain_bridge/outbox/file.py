"""The outbox's SQLite file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas.disk.sqlite_file import SqliteFile
from chain_bridge.client.messages import Tx
from chain_bridge.client.signed import BlockRef, Signed
from chain_bridge.errors import OutboxError
from chain_bridge.outbox.rows import Backlog, OutboxEntry

_VERSION = 1
_ONE_TIME_SECONDS = 86_400
# `epoch` counts the chains, so that keys can be reused after a reset. There is at most one flight.
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL, contract TEXT NOT NULL, key TEXT NOT NULL,
    name TEXT NOT NULL, body TEXT NOT NULL, funds INTEGER NOT NULL, state TEXT NOT NULL, recorded_at REAL NOT NULL,
    tx TEXT, log TEXT NOT NULL DEFAULT '', codespace TEXT NOT NULL DEFAULT '', code INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, alone INTEGER NOT NULL DEFAULT 0, UNIQUE (epoch, contract, key)
);
CREATE INDEX entries_by_state ON entries (state, id);
CREATE TABLE flight (
    only INTEGER PRIMARY KEY CHECK (only = 1), data BLOB NOT NULL, hash TEXT NOT NULL, sequence INTEGER NOT NULL,
    timeout_height INTEGER NOT NULL, height INTEGER NOT NULL, block TEXT NOT NULL
);
INSERT INTO facts VALUES ('epoch', '0');
"""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    with outbox_file(path).transaction() as database:
        database.row_factory = sqlite3.Row
        yield database


def read_backlog(path: Path) -> Backlog:
    """The backlog of an outbox, without writing to the file; raises `OutboxError` when it cannot be read."""
    with outbox_file(path).reading() as database:
        database.row_factory = sqlite3.Row
        return backlog(database)


def create(path: Path) -> None:
    """Make a new file, or check the one that is there; raises `OutboxError`."""
    outbox_file(path).create(_TABLES, _VERSION)


def outbox_file(path: Path) -> SqliteFile:
    """The SQLite file of the outbox at `path`; raises `OutboxError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="the outbox: messages that wait to be sent to the chain",
        remedy=f"Restore {path.name} from a backup, together with its -wal file. Without a backup, move {path.name}, "
        f"{path.name}-wal and {path.name}-shm in {path.parent} away and run the job again: messages that were "
        "not sent are recorded again.",
        error=OutboxError,
    )


def fact(database: sqlite3.Connection, name: str) -> str | None:
    """A named value of the table `facts`, or None."""
    row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row["value"])


def entry(row: sqlite3.Row) -> OutboxEntry:
    """The entry in a row of the table `entries`."""
    values = dict(row)
    del values["epoch"]
    values["body"] = json.loads(values["body"])
    values["tx"] = None if values["tx"] is None else Tx(**json.loads(values["tx"]))
    values["alone"] = bool(values["alone"])
    return OutboxEntry(**values)


def find(database: sqlite3.Connection, contract: str, key: str) -> OutboxEntry | None:
    """The entry of a key on the present chain."""
    row = database.execute(
        "SELECT * FROM entries WHERE epoch = ? AND contract = ? AND key = ?", (_epoch(database), contract, key)
    ).fetchone()
    return None if row is None else entry(row)


def insert(database: sqlite3.Connection, contract: str, key: str, name: str, body: str, funds: int, now: float) -> None:
    """Add an entry in the state `waiting`."""
    database.execute(
        "INSERT INTO entries (epoch, contract, key, name, body, funds, state, recorded_at) "
        "VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?)",
        (_epoch(database), contract, key, name, body, funds, now),
    )


def set_state(database: sqlite3.Connection, entries: list[OutboxEntry], state: str) -> None:
    """Move entries to a state."""
    database.executemany("UPDATE entries SET state = ? WHERE id = ?", [(state, one.id) for one in entries])


def flight(database: sqlite3.Connection) -> Signed | None:
    """The transaction in flight, or None."""
    row = database.execute("SELECT * FROM flight").fetchone()
    if row is None:
        return None
    place = BlockRef(row["height"], row["block"])
    return Signed(row["data"], row["hash"], row["sequence"], row["timeout_height"], place)


def anchor(database: sqlite3.Connection) -> BlockRef | None:
    """The block that identifies the chain, or None."""
    text = fact(database, "anchor")
    return None if text is None else BlockRef(*json.loads(text))


def set_anchor(database: sqlite3.Connection, place: BlockRef) -> None:
    """Set the block that identifies the chain."""
    database.execute("INSERT OR REPLACE INTO facts VALUES ('anchor', ?)", (json.dumps(place),))


def start_over(database: sqlite3.Connection, reason: str) -> int:
    """Begin the next epoch, mark undecided entries as `orphaned`, and return their number."""
    count = database.execute(
        "UPDATE entries SET state = 'orphaned', log = ? WHERE state IN ('waiting', 'signed')", (reason,)
    ).rowcount
    database.execute("DELETE FROM flight")
    database.execute("DELETE FROM facts WHERE name = 'anchor'")
    database.execute("UPDATE facts SET value = value + 1 WHERE name = 'epoch'")
    return count


def forget_one_time(database: sqlite3.Connection, now: float) -> None:
    """Delete decided entries with one-time keys that are older than a day; no caller still waits for them."""
    database.execute(
        "DELETE FROM entries WHERE key LIKE 'one-time:%' AND state NOT IN ('waiting', 'signed') AND recorded_at < ?",
        (now - _ONE_TIME_SECONDS,),
    )


def backlog(database: sqlite3.Connection) -> Backlog:
    """The number of entries by state, and when the oldest undecided one was recorded."""
    counts = dict(database.execute("SELECT state, COUNT(*) FROM entries GROUP BY state").fetchall())
    oldest = database.execute("SELECT MIN(recorded_at) FROM entries WHERE state IN ('waiting', 'signed')").fetchone()[0]
    return Backlog(
        waiting=counts.get("waiting", 0),
        signed=counts.get("signed", 0),
        refused=counts.get("refused", 0),
        orphaned=counts.get("orphaned", 0),
        oldest_at=oldest,
    )


def _epoch(database: sqlite3.Connection) -> int:
    return int(fact(database, "epoch") or 0)
