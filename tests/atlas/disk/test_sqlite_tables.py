"""Tables whose file is created by the first write, never by a read."""

import pytest

from atlas.disk.sqlite_file import SqliteFile
from atlas.disk.sqlite_tables import SqliteTables
from atlas.errors import DiskError

SCHEMA = "CREATE TABLE words (word TEXT PRIMARY KEY)"


@pytest.fixture
def tables(tmp_path):
    def opened() -> SqliteTables:
        return SqliteTables(SqliteFile(tmp_path / "words.db", holds="words", remedy="Do."), SCHEMA, version=1)

    return opened


def words(tables: SqliteTables) -> list[str]:
    with tables.reading() as database:
        return [word for (word,) in database.execute("SELECT word FROM words ORDER BY word")]


def test_reading_makes_no_file_and_sees_what_another_writes(tables, tmp_path):
    reader, writer = tables(), tables()
    assert words(reader) == []
    assert list(tmp_path.iterdir()) == []
    with writer.writing() as database:
        database.execute("INSERT INTO words VALUES ('one')")
    assert words(reader) == words(tables()) == ["one"]


def test_a_file_that_was_lost_while_in_use_is_not_made_anew(tables, tmp_path):
    writer = tables()
    with writer.writing() as database:
        database.execute("INSERT INTO words VALUES ('one')")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(DiskError, match="is missing"), writer.writing():
        pass
    with pytest.raises(DiskError, match="is missing"):
        words(writer)


def test_a_log_without_its_file_is_refused(tables, tmp_path):
    (tmp_path / "words.db-wal").write_bytes(b"log")
    with pytest.raises(DiskError, match="is missing, but its log"):
        tables()


def test_a_file_on_the_way_is_no_empty_file(tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(DiskError, match=r"Cannot read .*words.db: Not a directory"):
        SqliteTables(SqliteFile(tmp_path / "file" / "words.db", holds="words", remedy="Do."), SCHEMA)
