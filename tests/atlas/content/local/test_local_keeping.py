"""What stays in the folder store, what goes, and what is taken over from a fetch."""

import errno
import fcntl
import os
import shutil
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes, cid_of_path
from atlas.content.local.pins import PinSets
from atlas.content.local.store import PARTIAL_SECONDS, LocalStore
from atlas.content.store import HeldContent, Replicas
from atlas.errors import ContentError, ContentNotFound, CorruptContent
from tests.support.content.local_stores import age, contents, temporaries

MIB = 1 << 20


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def test_trim_removes_the_oldest_but_never_what_is_pinned(store):
    cids = [store.put(f"content {number}".encode()) for number in range(4)]
    for number, cid in enumerate(cids):
        age(store.fetch(cid), 1000 - number)
    store.pin(cids[0])
    size = store.stat(cids[0]).size
    assert store.trim(keep_bytes=2 * size) == 2 * size
    assert [store.has(cid) for cid in cids] == [True, False, False, True]
    assert store.trim(keep_bytes=2 * size) == 0
    store.unpin(cids[0])
    store.unpin(cids[0])
    assert store.trim(keep_bytes=size) == size
    assert [store.has(cid) for cid in cids] == [False, False, False, True]


def test_trim_removes_whole_folders_by_their_last_use(store, folder):
    cid, other = store.put(folder), store.put(b"other")
    age(store.fetch(cid), 100)
    size = store.stat(cid).size
    store.pin(cid)
    assert store.trim(keep_bytes=size) == 5
    assert not store.has(other)
    store.unpin(cid)
    assert store.trim(keep_bytes=size) == 0
    assert store.trim(keep_bytes=size - 1) == size
    assert contents(store) == temporaries(store) == list(store.root.glob("names/*")) == []


def test_held_tells_what_is_there_and_when_it_was_used(store, folder):
    assert list(store.held()) == []
    cids = sorted([store.put(folder), store.put(b"bytes"), store.put(b"")])
    times = {cid: age(store.fetch(cid), 1000 + number) for number, cid in enumerate(cids)}
    store.pin(cids[1])
    assert list(store.held()) == [
        HeldContent(cid, store.stat(cid).size, times[cid], pins=("kept",) if cid == cids[1] else ()) for cid in cids
    ]


@pytest.mark.parametrize("use", ["fetch", "read", "put"])
def test_what_was_just_used_is_not_removed(store, use):
    cid = store.put(b"bytes")
    used_at = age(store.fetch(cid), 1000)
    getattr(store, use)(b"bytes" if use == "put" else cid)
    assert store.remove(cid, unused_since=used_at + 1) == 0
    assert store.has(cid)
    assert store.remove(cid, unused_since=time.time() + 1) == 5
    assert not store.has(cid)
    assert store.remove(cid, unused_since=time.time() + 1) == 0


def test_what_is_pinned_is_not_removed(store, folder):
    cid = store.put(folder)
    store.pin(cid)
    assert store.remove(cid, unused_since=time.time() + 1) == 0
    store.unpin(cid)
    assert store.remove(cid, unused_since=time.time() + 1) == store.stat(store.put(folder)).size


def test_asking_to_remove_what_was_never_there_makes_nothing(store):
    assert store.remove(cid_of_bytes(b"never put"), unused_since=time.time()) == 0
    assert store.trim(0) == 0
    assert not store.root.exists()


def test_a_reader_that_opened_a_file_reads_on_after_it_was_removed(store, folder):
    cid, folder_cid = store.put(bytes(3 * MIB)), store.put(folder)
    with store.fetch(cid).open("rb") as file, (store.fetch(folder_cid) / "z").open("rb") as within:
        assert file.read(MIB) == bytes(MIB)
        for name in (cid, folder_cid):
            assert store.remove(name, unused_since=time.time() + 1) > 0
        assert file.read() == bytes(2 * MIB)
        assert within.read() == b"z"
    with pytest.raises(ContentNotFound):
        store.fetch(cid)


def test_a_path_that_was_handed_out_outlives_a_collection_at_the_same_moment(store):
    """Old content, a reader and a collector at once: the reader finds nothing, or finds it and can open it."""

    for number in range(150):
        cid = store.put(f"content {number}".encode())
        used_at = age(store.fetch(cid), 1000)
        barrier = threading.Barrier(2)

        def collect(cid=cid, used_at=used_at, barrier=barrier):
            barrier.wait()
            store.remove(cid, unused_since=used_at + 1)

        collector = threading.Thread(target=collect)
        collector.start()
        barrier.wait()
        try:
            path = store.fetch(cid)
        except ContentNotFound:
            path = None
        collector.join()
        assert path is None or path.read_bytes() == f"content {number}".encode()


def test_a_store_that_may_only_be_read_is_read_without_marks(store, monkeypatch):
    cid = store.put(b"bytes")

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert store.read(cid) == store.fetch(cid).read_bytes() == b"bytes"


def test_adopted_files_and_folders_are_moved_not_copied(store, folder):
    for source in (folder, folder / "b" / "long"):
        cid = cid_of_path(source)
        partial = store.partial(cid)
        assert not partial.exists()
        source.rename(partial)
        inode = partial.stat().st_ino
        age(partial, 1000)
        before = time.time() - 1
        store.adopt(partial, cid)
        assert not partial.exists()
        assert store.fetch(cid).stat().st_ino == inode
        assert store.fetch(cid).stat().st_mode & 0o222 == 0
        assert store.remove(cid, unused_since=before) == 0, "adopting counts as use"
        if source == folder:
            (store.fetch(cid) / "b").chmod(0o700)
            shutil.copytree(store.fetch(cid) / "b", folder / "b")
    assert temporaries(store) == []


def test_what_is_not_as_it_was_named_is_not_adopted(store, folder):
    cid = cid_of_bytes(b"wanted")
    partial = store.partial(cid)
    for write, match in [
        (lambda: partial.write_bytes(b"other"), "found"),
        (lambda: shutil.copytree(folder, partial), "found"),
    ]:
        write()
        with pytest.raises(CorruptContent, match=match):
            store.adopt(partial, cid)
        assert partial.exists()
        assert not store.has(cid)
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
    with pytest.raises(ContentError, match="Nothing was stored"):
        store.adopt(partial, cid)
    with pytest.raises(ContentError, match="Put it instead"):
        store.adopt(folder / "z", cid_of_path(folder / "z"))
    assert (folder / "z").exists()


def test_what_is_held_already_is_adopted_by_dropping_it(store, folder):
    cid = store.put(folder)
    inode = store.fetch(cid).stat().st_ino
    shutil.copytree(folder, store.partial(cid))
    store.adopt(store.partial(cid), cid)
    assert not store.partial(cid).exists()
    assert store.fetch(cid).stat().st_ino == inode


def test_partial_content_waits_a_week_and_longer_while_somebody_writes(store, folder):
    names = [cid_of_bytes(name) for name in (b"young", b"old", b"old folder", b"old and locked", b"asked for")]
    young, old, old_folder, locked, asked_for = (store.partial(name) for name in names)
    for path in (young, old, locked, asked_for):
        path.write_bytes(b"some")
    shutil.copytree(folder, old_folder)
    age(young, PARTIAL_SECONDS - 100)
    for path in (old, old_folder, locked, asked_for):
        age(path, PARTIAL_SECONDS + 100)
    with locked.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        store.partial(names[4])
        LocalStore(store.root)
    assert sorted((store.root / "partial").iterdir()) == sorted([young, locked, asked_for])
    assert contents(store) == []


def test_the_one_copy_is_here_or_it_is_not(store):
    cid = store.put(b"bytes")
    assert store.replicas(cid) == Replicas(cid, 1, [str(store.root)], [])
    assert store.replicas(cid).enough
    assert not store.replicas(cid_of_bytes(b"other")).enough


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["release", "audit", "kept"]), st.integers(0, 2)),
        max_size=12,
    )
)
def test_pin_sets_are_sets(tmp_path_factory, steps):
    pins, expected = PinSets(tmp_path_factory.mktemp("store") / "pins"), {}
    cids = [cid_of_bytes(bytes([number])) for number in range(3)]
    for add, name, number in steps:
        if add:
            pins.add(cids[number], name)
            expected.setdefault(cids[number], set()).add(name)
        else:
            pins.discard(cids[number], name)
            expected.get(cids[number], set()).discard(name)
    assert pins.by_cid() == {cid: tuple(sorted(names)) for cid, names in expected.items() if names}
    assert all(pins.of(cid) == tuple(sorted(expected.get(cid, ()))) for cid in cids)
    for cid in cids:
        pins.discard(cid)
    assert pins.by_cid() == {}


@pytest.mark.parametrize("name", ["", "..", "a/b", "UPPER", "a" * 49, "-a"])
def test_the_name_of_a_pin_set_is_no_path(tmp_path, name):
    store = LocalStore(tmp_path)
    cid = store.put(b"content")
    with pytest.raises(ContentError, match="not a valid name of a pin set"):
        store.pin(cid, name)
