"""Processes that open the same new database at the same moment."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest

from atlas.write_ahead_log import use_write_ahead_log


def test_all_who_open_a_new_file_at_once_get_it(tmp_path):
    def opens(number):
        together = Barrier(8)

        def open_one(_):
            with closing(sqlite3.connect(tmp_path / f"{number}.db", timeout=5, check_same_thread=False)) as database:
                together.wait()
                use_write_ahead_log(database)
                return database.execute("PRAGMA journal_mode").fetchone()

        with ThreadPoolExecutor(8) as threads:
            return set(threads.map(open_one, range(8)))

    assert {mode for number in range(20) for mode in opens(number)} == {("wal",)}


def test_what_is_not_a_database_is_refused_at_once(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to have a header " * 10)
    with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_write_ahead_log(database)
