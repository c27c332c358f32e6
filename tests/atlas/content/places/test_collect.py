"""Collecting beside readers and writers, on a real store."""

import os
import threading
from pathlib import Path

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.content.places.collect import collect, local_folder, peek
from atlas.errors import ContentError, ContentNotFound

OLD, NEW, BETWEEN = 1_000_000.0, 3_000_000.0, 2_000_000.0


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "content")


def put(store: LocalStore, data: bytes, used_at: float = OLD) -> str:
    cid = store.put(data)
    os.utime(store.fetch(cid), (used_at, used_at))
    return cid


def test_only_what_is_neither_needed_nor_pinned_nor_used_goes(store):
    needed, pinned, used, empty, unused = (put(store, data) for data in (b"needed", b"pinned", b"used", b"", b"unused"))
    os.utime(store.fetch(used), (NEW, NEW))
    store.pin(pinned)
    os.utime(store.root / pinned[-2:] / pinned, (OLD, OLD))
    done = collect(store, {needed}, unused_since=BETWEEN)
    assert {one.cid for one in done.removed} == {empty, unused}
    assert (done.bytes, done.kept, done.waiting) == (len(b"unused"), 1, 2)
    assert {one.cid for one in store.held()} == {needed, pinned, used}
    with pytest.raises(ContentNotFound):
        store.fetch(unused)


def test_a_dry_run_says_the_same_and_removes_nothing(store):
    cids = {put(store, b"%d" % number) for number in range(5)}
    told: list[str] = []
    dry = collect(store, (), unused_since=BETWEEN, dry_run=True, on_removed=lambda one: told.append(one.cid))
    assert {one.cid for one in store.held()} == {one.cid for one in dry.removed} == set(told) == cids
    assert collect(store, (), unused_since=BETWEEN) == dry


def test_what_comes_into_use_meanwhile_stays(store):
    """The list is made first; a content that is read or put again before its turn is no longer unused."""
    first, read, again = sorted(put(store, b"%d" % number) for number in range(3))
    data = store.root / again[-2:] / again
    content = data.read_bytes()

    def use(_) -> None:
        store.read(read)
        store.put(content)

    done = collect(store, (), unused_since=BETWEEN, on_removed=use)
    assert [one.cid for one in done.removed] == [first]
    assert done.waiting == 2
    assert store.read(again) == content


def test_a_folder_goes_as_a_whole(store, tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"x" * 10)
    cid = store.put(folder)
    assert peek(store.root, cid) is None
    assert collect(store, (), unused_since=4e9).bytes == 10
    assert not store.has(cid)


def test_peeking_leaves_no_mark(store):
    cid = put(store, b"looked at")
    assert peek(store.root, cid) == b"looked at"
    assert next(iter(store.held())).used_at == OLD
    assert peek(store.root, cid_of_bytes(b"absent")) is None
    path = store.root / cid[-2:] / cid
    path.chmod(0o644)
    path.write_bytes(b"altered")
    assert peek(store.root, cid) is None


def test_the_folder_of_a_store_over_others(store):
    class Over:
        local = store

    assert local_folder(store) == local_folder(Over()) == store.root
    with pytest.raises(ContentError, match="keeps no copies"):
        local_folder(object())


def test_readers_beside_a_collection_get_whole_content_or_a_clear_answer(store):
    contents = {store.put(os.urandom(2000) + b"%d" % number): number for number in range(40)}
    failures: list[BaseException] = []
    answers = {"whole": 0, "gone": 0}

    def read() -> None:
        for cid in contents:
            try:
                assert cid_of_bytes(store.read(cid)) == cid
                answers["whole"] += 1
            except ContentNotFound:
                answers["gone"] += 1
            except BaseException as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    collect(store, (), unused_since=4e9)
    for reader in readers:
        reader.join()
    assert not failures
    assert answers["whole"] + answers["gone"] == 4 * len(contents)
    assert {path.name for path in Path(store.root).glob("??/b*")} == set()
