"""The coordinator's SQLite file: WAL mode, one transaction a connection, so that processes share it and any may die."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from atlas.write_ahead_log import use_write_ahead_log

_BUSY_SECONDS = 30.0


def create_tables(path: Path, schema: str) -> None:
    """Make the file and those of its tables that are not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(_connect(path)) as connection:
        use_write_ahead_log(connection)
        connection.executescript(schema)


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of its own for each transaction: safe in any thread and after a fork. Durable at the end."""
    with closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection
