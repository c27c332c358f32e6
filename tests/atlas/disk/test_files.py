"""Files that are written whole, on disks that are full, read-only or in the way."""

import errno
import sqlite3
import subprocess
from contextlib import closing

import pytest

from atlas.disk.files import disk_advice, new_file, write_file
from atlas.errors import DiskError, TrainingError


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of 256 KiB; `small_disk("ro")` makes it read-only."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        ran = subprocess.run(["mount", "-o", options, "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False)
        if ran.returncode:
            pytest.skip("mounting a small file system takes more rights than this user has")

    mount("size=256k")

    def remount(mode):
        mount(f"remount,{mode}")
        return place

    yield remount
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_named_and_the_old_file_stays(small_disk):
    place = small_disk("rw")
    write_file(place / "state", b"old")
    with pytest.raises(TrainingError, match=r"Cannot write .*state: No space left on device\. Free some space"):
        write_file(place / "state", bytes(1 << 20), TrainingError)
    assert (place / "state").read_bytes() == b"old"
    assert [path.name for path in place.iterdir()] == ["state"]


@pytest.mark.parametrize("name", ["state", "new/state"])
def test_a_read_only_disk_is_named(small_disk, name):
    place = small_disk("ro")
    with pytest.raises(DiskError, match=r"Cannot write .*state: Read-only file system\. .*mounted for writing"):
        write_file(place / name, b"new")


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(DiskError, match=r"Cannot write .*folder/state"):
        write_file(tmp_path / "folder" / "state", b"new")


def test_a_block_that_raises_leaves_nothing_and_its_own_error(tmp_path):
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "state") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_only_a_disk_that_takes_no_writes_gets_its_advice():
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            database.execute("CREATE TABLE a (b)")
    wrapped = RuntimeError("as SQLAlchemy has it")
    wrapped.orig = full.value
    for error in (OSError(errno.ENOSPC, "No space left on device"), full.value, wrapped):
        assert disk_advice(error) == "Free some space on that file system, then try again."
    assert "mounted for writing" in disk_advice(OSError(errno.EROFS, "Read-only file system"))
    for error in (OSError(errno.ENOENT, "No such file"), ValueError("x"), sqlite3.OperationalError("by Python")):
        assert disk_advice(error) is None
