"""A store that verifies once: what it spares, and what it never trusts."""

import os
import time
from collections import Counter

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.content.verified import VerifiedStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document, put_document
from atlas.errors import ContentNotFound, CorruptContent, SpecError

CID = cid_of_bytes(b"any")


class CountingStore(LocalStore):
    """Counts what is read and hashed whole."""

    def __init__(self, root) -> None:
        super().__init__(root)
        self.hashed: Counter[str] = Counter()

    def fetch(self, cid):
        self.hashed[cid] += 1
        return super().fetch(cid)

    def read(self, cid):
        self.hashed[cid] += 1
        return super().read(cid)


@pytest.fixture
def inner(tmp_path):
    return CountingStore(tmp_path / "content")


@pytest.fixture
def store(inner):
    return VerifiedStore(inner)


def test_a_file_is_hashed_once(store, inner):
    cid = store.put(b"bytes")
    assert store.fetch(cid) == store.fetch(cid) == inner.root / cid[-2:] / cid
    assert inner.hashed[cid] == 1


def rewritten(path):
    time.sleep(0.02)  # more than a clock tick: the times of older kernels are no finer
    path.chmod(0o644)
    path.write_bytes(b"BYTES")


def rewritten_with_its_old_time(path):
    before = path.stat()
    rewritten(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.chmod(before.st_mode)


def replaced(path):
    other = path.with_name("other")
    other.write_bytes(b"BYTES")
    other.replace(path)


@pytest.mark.parametrize("change", [rewritten, rewritten_with_its_old_time, replaced])
def test_a_file_that_changes_after_it_was_verified_is_not_trusted(store, change):
    cid = store.put(b"bytes")
    change(store.fetch(cid))
    with pytest.raises(CorruptContent, match=cid):
        store.fetch(cid)
    store.put(b"bytes")
    assert store.fetch(cid).read_bytes() == b"bytes"


def test_a_file_that_another_reader_has_used_is_verified_again(store, inner):
    cid = store.put(b"bytes")
    path = store.fetch(cid)
    os.utime(path, ns=(1, 1))
    assert store.fetch(cid) == path
    assert inner.hashed[cid] == 2


def test_a_file_that_was_removed_is_missed(store):
    cid = store.put(b"bytes")
    store.fetch(cid).unlink()
    with pytest.raises(ContentNotFound, match=cid):
        store.fetch(cid)


def test_a_folder_is_verified_each_time(store, inner, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"bytes")
    cid = store.put(folder)
    file = store.fetch(cid) / "file"
    rewritten(file)
    with pytest.raises(CorruptContent, match=cid):
        store.fetch(cid)


def test_a_document_is_read_and_parsed_once(store, inner):
    document = Checkpoint(job=CID, round=0, adapter=CID, parent=None, manifest=None)
    cid = put_document(store, document)
    assert get_document(store, cid, Checkpoint) is get_document(store, cid, Checkpoint)
    assert inner.hashed[cid] == 1


def test_what_is_no_such_document_is_refused_each_time(store):
    cid = store.put(b"{}")
    for _ in range(2):
        with pytest.raises(SpecError, match=cid):
            get_document(store, cid, Checkpoint)


def test_bytes_are_verified_at_every_read(store, inner):
    cid = store.put(b"bytes")
    assert store.read(cid) == store.read(cid) == b"bytes"
    rewritten(inner.root / cid[-2:] / cid)
    with pytest.raises(CorruptContent, match=cid):
        store.read(cid)


def test_everything_else_is_the_store_s(store, inner):
    cid = store.put(b"bytes")
    assert (store.has(cid), store.stat(cid), store.replicate(cid)) == (True, inner.stat(cid), inner.replicas(cid))
    store.pin(cid, "mine")
    assert next(inner.held()).pins == ("mine",)
    assert store.trim(0) == 0
    store.unpin(cid)
    assert (store.trim(0), store.has(cid)) == (5, False)
