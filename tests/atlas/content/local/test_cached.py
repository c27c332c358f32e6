"""A node's own copies over somebody else's store."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.cached import CachedStore
from atlas.content.local.store import LocalStore
from atlas.errors import ContentNotFound, CorruptContent


@pytest.fixture
def upstream(tmp_path):
    return LocalStore(tmp_path / "upstream")


@pytest.fixture
def cached(tmp_path, upstream):
    return CachedStore(LocalStore(tmp_path / "local"), upstream)


def damage(store: LocalStore, cid: str) -> None:
    path = store.root / cid[-2:] / cid
    path.chmod(0o600)
    path.write_bytes(b"damaged")


def test_put_writes_to_both(cached, upstream, tmp_path):
    cid = cached.put(b"bytes")
    (tmp_path / "file").write_bytes(b"a file")
    file_cid = cached.put(tmp_path / "file")
    for store in (cached, cached.local, upstream):
        assert store.read(cid) == b"bytes"
        assert store.read(file_cid) == b"a file"


def test_what_was_fetched_once_needs_no_upstream(cached, upstream):
    cid = upstream.put(b"text")
    assert cached.has(cid)
    assert not cached.local.has(cid)
    assert cached.stat(cid).size == 4
    assert cached.fetch(cid) == cached.local.fetch(cid)
    (upstream.root / cid[-2:] / cid).unlink()
    assert cached.has(cid)
    assert cached.read(cid) == b"text"
    assert cached.stat(cid).size == 4


def test_a_damaged_local_copy_is_healed_from_upstream(cached, upstream):
    cid = cached.put(b"text")
    damage(cached.local, cid)
    assert cached.fetch(cid).read_bytes() == b"text"
    assert cached.local.read(cid) == b"text"


def test_what_is_damaged_upstream_is_an_error_and_is_not_copied(cached, upstream):
    cid = upstream.put(b"text")
    damage(upstream, cid)
    with pytest.raises(CorruptContent, match=cid):
        cached.fetch(cid)
    assert list(cached.local.root.glob("??/*")) == []


class LyingStore(LocalStore):
    """Checks nothing, as a store across a network may."""

    def fetch(self, cid):
        return super().fetch(cid_of_bytes(b"something else"))


def test_an_upstream_that_answers_with_other_bytes_is_caught(tmp_path):
    upstream = LyingStore(tmp_path / "upstream")
    cid, other = upstream.put(b"text"), upstream.put(b"something else")
    cached = CachedStore(LocalStore(tmp_path / "local"), upstream)
    with pytest.raises(CorruptContent, match=f"expected {cid}, found {other}"):
        cached.fetch(cid)
    assert not cached.local.has(cid)


def test_what_nobody_holds_is_not_found(cached):
    cid = cid_of_bytes(b"never put")
    assert not cached.has(cid)
    for ask in (cached.fetch, cached.read, cached.stat, cached.pin):
        with pytest.raises(ContentNotFound, match=cid):
            ask(cid)


def test_a_pin_keeps_a_local_copy(cached, upstream):
    cid = upstream.put(b"text")
    cached.pin(cid)
    cached.local.trim(keep_bytes=0)
    assert cached.local.has(cid)
    cached.unpin(cid)
    cached.local.trim(keep_bytes=0)
    assert not cached.local.has(cid)
