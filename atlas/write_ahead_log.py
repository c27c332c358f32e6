"""SQLite's write-ahead log, which lets readers go on while one process writes."""

import sqlite3

import stamina

_PATIENCE_SECONDS = 10.0


def use_write_ahead_log(database: sqlite3.Connection) -> None:
    """Put a database into WAL mode, in which it stays; raises `sqlite3.OperationalError` when it cannot.

    Of two connections that change the mode of a new file at the same moment, SQLite refuses one at once, whatever its
    busy timeout, since waiting could deadlock (https://www.sqlite.org/c3ref/busy_handler.html). It may try again.
    """
    for attempt in stamina.retry_context(
        on=_is_busy, attempts=None, timeout=_PATIENCE_SECONDS, wait_initial=0.01, wait_max=0.2, wait_jitter=0.05
    ):
        with attempt:
            database.execute("PRAGMA journal_mode = WAL")


def _is_busy(error: Exception) -> bool:
    # The low byte of an extended result code is the primary one.
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
