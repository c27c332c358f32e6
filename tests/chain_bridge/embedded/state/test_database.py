import sqlite3

import pytest

from chain_bridge.embedded.state.database import Database
from chain_bridge.errors import ChainError


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "chain.db")
    yield database
    database.close()


def grants(database):
    return {row[0] for row in database.execute("SELECT address FROM genesis")}


def grant(database, name):
    database.execute("INSERT INTO genesis VALUES (?, '1')", name)


def test_a_transaction_is_kept_whole_or_not_at_all(database):
    with database.transaction():
        grant(database, "kept")
    with pytest.raises(RuntimeError), database.transaction():
        grant(database, "lost")
        raise RuntimeError
    with database.transaction(keep=False):
        grant(database, "simulated")
    assert grants(database) == {"kept"}


def test_savepoints_nest(database):
    with database.transaction():
        grant(database, "outer")
        with database.savepoint():
            grant(database, "middle")
            with pytest.raises(RuntimeError), database.savepoint():
                grant(database, "inner")
                raise RuntimeError
            with database.savepoint():
                grant(database, "sibling")
    assert grants(database) == {"outer", "middle", "sibling"}


def test_commits_are_on_the_disk(database):
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,), "2 is FULL"


def test_a_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "chain.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ChainError, match="has version 99, expected 2"):
        Database(path)
