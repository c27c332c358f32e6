"""SQLite files that are damaged, missing, in the way, full or read-only: each error names the file and what to do."""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from atlas.content.places.health import Copies, Health
from atlas.disk.sqlite_file import SqliteFile
from atlas.disk.sqlite_tables import SqliteTables
from atlas.errors import AtlasError, DiskError
from chain_bridge.embedded.state.database import Database
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.outbox.outbox import Outbox
from node_agent.home.journal import Journal
from resources.jobs.registry import JobRegistry
from resources.keys.key_journal import KeyJournal

OPENERS = {
    "coordinator.db": JobRegistry,
    "keys.db": KeyJournal,
    "chain.db": Database,
    "outbox.db": Outbox,
    "journal.db": Journal,
    "follower.db": ReadModel,
    "health.sqlite": Health,
    "copies.sqlite": Copies,
}


def make(path: Path) -> None:
    """A file of the kind that its name says, closed."""
    opened = OPENERS[path.name](path)
    if isinstance(tables := getattr(opened, "_tables", None), SqliteTables):
        with tables.writing():
            pass
    for connection in (getattr(opened, "_database", None), getattr(opened, "_connection", None)):
        if isinstance(connection, sqlite3.Connection):
            connection.close()


DAMAGES = {
    "empty": lambda data: b"",
    "a header alone": lambda data: data[:50],
    "cut within the header": lambda data: data[:99],
    "one page": lambda data: data[:4096],
    "half": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "noise": lambda data: b"\x8f\x13 noise" * 1000,
    "noise at its head": lambda data: bytes(100) + data[100:],
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("name", OPENERS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_it_holds_and_what_to_do(tmp_path, name, damage):
    path = tmp_path / name
    make(path)
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    with pytest.raises(AtlasError) as caught:
        make(path)
    text = str(caught.value)
    assert str(path) in text
    assert "is damaged: " in text
    assert "emove" in text or "ove " in text or "estore" in text
    path.write_bytes(whole)
    make(path)


@pytest.mark.parametrize("name", OPENERS)
def test_a_folder_in_its_place_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(AtlasError, match=rf"{name} .* is a folder, expected a file"):
        make(tmp_path / name)


@pytest.mark.parametrize("name", OPENERS)
def test_a_log_without_its_file_is_not_replayed_into_a_new_one(tmp_path, name):
    (tmp_path / f"{name}-wal").write_bytes(b"something")
    with pytest.raises(AtlasError, match=rf"{name} .* is missing, but its log .*{name}-wal exists"):
        make(tmp_path / name)
    assert not (tmp_path / name).exists()


@contextmanager
def mounted(place: Path, options: str):
    place.mkdir(exist_ok=True)
    command = ["mount", "-o", options, "-t", "tmpfs", "tmpfs", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes more rights than this user has")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("name", OPENERS)
def test_a_read_only_disk_is_named(tmp_path, name):
    make(tmp_path / name)
    with mounted(tmp_path / "disk", "size=1m") as disk:
        shutil.copy(tmp_path / name, disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for path in (disk / name, disk / "new" / name):
            with pytest.raises(AtlasError) as caught:
                make(path)
            assert str(path) in str(caught.value)
            assert "mounted for writing" in str(caught.value)


def notes(path: Path, error: type[AtlasError] = DiskError) -> SqliteFile:
    return SqliteFile(path, holds="some notes", remedy="Restore them.", error=error)


SCHEMA = "CREATE TABLE IF NOT EXISTS notes (text TEXT)"


def test_a_full_disk_is_named_undoes_the_transaction_and_ends(tmp_path):
    with mounted(tmp_path / "disk", "size=192k") as disk:
        file = notes(disk / "notes.db")
        file.create(SCHEMA)
        with file.transaction() as database:
            database.execute("INSERT INTO notes VALUES ('first')")
        with (
            pytest.raises(DiskError, match=r"notes\.db \(some notes\) cannot be .* disk"),
            file.transaction() as database,
        ):
            database.execute("UPDATE notes SET text = 'second'")
            for _ in range(100):
                database.execute("INSERT INTO notes VALUES (?)", ("x" * 10_000,))
        with file.reading() as database:
            assert database.execute("SELECT text FROM notes").fetchall() == [("first",)]
        (disk / "ballast").write_bytes(b"")
        with pytest.raises(DiskError, match=r"other\.db"):
            with (disk / "ballast").open("wb") as ballast:
                ballast.write(bytes(shutil.disk_usage(disk).free))
            notes(disk / "other.db").create(SCHEMA)
        assert sorted(path.name for path in disk.glob("*other*")) == []


def test_a_lost_file_is_not_made_anew_behind_the_back_of_its_user(tmp_path):
    file = notes(tmp_path / "notes.db")
    file.create(SCHEMA)
    (tmp_path / "notes.db").unlink()
    with pytest.raises(DiskError, match=r"notes\.db \(some notes\) is missing\. Restore them\."), file.transaction():
        pass
    assert not (tmp_path / "notes.db").exists()


def test_another_version_is_refused(tmp_path):
    notes(tmp_path / "notes.db").create("CREATE TABLE notes (text TEXT)", version=2)
    with pytest.raises(DiskError, match="has version 2, expected 1"):
        notes(tmp_path / "notes.db").create("CREATE TABLE notes (text TEXT)", version=1)


def test_of_many_who_make_a_file_at_once_all_use_the_same_one(tmp_path):
    """Also across processes, and a name with characters that mean something in a URI."""
    path = tmp_path / "no?tes #1%20.db"
    script = (
        "import sys; from pathlib import Path; from atlas.disk.sqlite_file import SqliteFile\n"
        "file = SqliteFile(Path(sys.argv[1]), 'some notes', 'Restore them.')\n"
        "file.create('CREATE TABLE IF NOT EXISTS notes (text TEXT)')\n"
        "with file.transaction() as database: database.execute(\"INSERT INTO notes VALUES ('x')\")\n"
    )

    def run(number: int) -> int:
        return subprocess.run([sys.executable, "-c", script, path], check=True).returncode

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT COUNT(*) FROM notes").fetchone() == (4,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert path.stat().st_mode & 0o777 == 0o600


def test_errors_of_the_program_are_not_blamed_on_the_file(tmp_path):
    file = notes(tmp_path / "notes.db")
    file.create("CREATE TABLE IF NOT EXISTS notes (text TEXT UNIQUE)")
    with pytest.raises(sqlite3.IntegrityError), file.transaction() as database:
        database.execute("INSERT INTO notes VALUES ('x'), ('x')")


def test_opening_a_file_waits_for_nobody_who_writes(tmp_path):
    file = notes(tmp_path / "notes.db")
    file.create(SCHEMA)
    with file.transaction() as database:
        database.execute("INSERT INTO notes VALUES ('x')")
        notes(tmp_path / "notes.db").create(SCHEMA)
        with file.reading() as other:
            assert other.execute("SELECT COUNT(*) FROM notes").fetchone() == (0,)
