"""Files that hold secrets."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from atlas.disk.private_file import create_private_file, replace_private_file
from atlas.errors import DiskError


@pytest.mark.parametrize("write", [create_private_file, replace_private_file])
def test_only_the_owner_can_read_it(tmp_path, write):
    path = tmp_path / "keys" / "secret"
    write(path, b"secret")
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["secret"]


def test_what_is_created_twice_stays_and_what_is_replaced_does_not(tmp_path):
    path = tmp_path / "secret"
    create_private_file(path, b"first")
    create_private_file(path, b"second")
    assert path.read_bytes() == b"first"
    replace_private_file(path, b"third")
    assert path.read_bytes() == b"third"
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_of_many_who_create_it_at_once_one_has_its_way(tmp_path):
    path, start = tmp_path / "secret", threading.Barrier(8)

    def create(number):
        start.wait()
        create_private_file(path, bytes([number]))
        return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, range(8)))) == 1


@pytest.mark.parametrize("write", [create_private_file, replace_private_file])
def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, write):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match=r"secret: No space left on device\. Free some space"):
        write(tmp_path / "secret", b"secret")
    assert [one.name for one in tmp_path.iterdir()] == []
