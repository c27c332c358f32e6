"""What every content store must do; `test_conformance.py` runs it over each of them.

A store is made by `new_store(name)`: stores of different names have folders of their own over the same places.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from atlas.content.format.cid import cid_of_bytes, cid_of_file, cid_of_folder
from atlas.errors import ContentError, ContentNotFound

MIB = 1 << 20
SIZES = [0, 1, MIB - 1, MIB, MIB + 1]


class StoreConformance:
    """For stores that read and write."""

    @pytest.fixture
    def store(self, new_store):
        return new_store("own")

    @pytest.fixture
    def other(self, new_store):
        return new_store("other")

    @pytest.mark.parametrize("size", SIZES)
    def test_a_file_of_any_size_goes_by_its_cid_and_comes_back(self, store, other, tmp_path, size):
        source = tmp_path / "source"
        source.write_bytes(os.urandom(size))
        cid = store.put(source)
        assert cid == cid_of_file(source)
        for reader in (store, other):
            assert reader.has(cid)
            assert reader.stat(cid).size == size
            assert reader.fetch(cid).read_bytes() == reader.read(cid) == source.read_bytes()
            assert reader.stat(cid).size == size

    def test_a_folder_is_kept_whole(self, store, other, tmp_path):
        source = tmp_path / "source"
        contents = {"b": os.urandom(20), "a": b"", ".hidden": os.urandom(9), "sub/ü x": os.urandom(MIB + 3)}
        (source / "sub" / "empty").mkdir(parents=True)
        for name, data in contents.items():
            (source / name).write_bytes(data)
        cid = store.put(source)
        assert cid == cid_of_folder(source)
        found = other.fetch(cid)
        assert {
            str(path.relative_to(found)): path.read_bytes() for path in found.rglob("*") if path.is_file()
        } == contents
        assert (found / "sub" / "empty").is_dir()
        assert other.stat(cid).size == sum(map(len, contents.values()))
        with pytest.raises(ContentError, match="folder"):
            other.read(cid)

    def test_bytes_and_file_of_them_are_one_content(self, store, tmp_path):
        data = os.urandom(5000)
        (tmp_path / "source").write_bytes(data)
        assert store.put(data) == store.put(tmp_path / "source") == cid_of_bytes(data)

    def test_two_writers_of_one_content_do_not_disturb_each_other(self, store, other, tmp_path):
        (tmp_path / "source").write_bytes(os.urandom(5 * MIB // 2))
        writers = [store, other] * 2
        with ThreadPoolExecutor(len(writers)) as pool:
            cids = list(pool.map(lambda writer: writer.put(tmp_path / "source"), writers))
        assert set(cids) == {cid_of_file(tmp_path / "source")}
        for writer in (store, other):
            assert writer.read(cids[0]) == (tmp_path / "source").read_bytes()

    def test_what_nobody_holds_is_not_found(self, store):
        cid = cid_of_bytes(os.urandom(30))
        assert not store.has(cid)
        for ask in (store.fetch, store.read, store.stat, store.pin, store.replicate):
            with pytest.raises(ContentNotFound, match=cid):
                ask(cid)

    @pytest.mark.parametrize("text", ["", "hello", "../../../etc/passwd", "bafkrei", "-v"])
    def test_text_that_is_no_cid_is_refused_by_every_method(self, store, text):
        for ask in (store.fetch, store.read, store.stat, store.pin, store.unpin, store.has, store.replicate):
            with pytest.raises(ContentError, match="is not a content identifier"):
                ask(text)

    def test_a_source_that_is_not_there_is_an_error(self, store, tmp_path):
        with pytest.raises(ContentError, match="nowhere"):
            store.put(tmp_path / "nowhere")

    def test_a_put_makes_all_copies_and_a_reader_may_make_its_own(self, store, other):
        cid = store.put(os.urandom(40))
        assert store.replicate(cid).enough
        other.fetch(cid)
        assert other.replicate(cid).enough

    def test_a_pin_outlives_a_trim_and_an_unpin_ends_it(self, store):
        data = os.urandom(40)
        cid = store.put(data)
        store.pin(cid)
        assert store.trim(keep_bytes=0) == 0
        assert store.read(cid) == data
        store.unpin(cid)
        store.unpin(cid)
        assert store.trim(keep_bytes=0) == 40


class KeptConformance(StoreConformance):
    """For stores whose owner decides what stays."""

    def test_what_is_held_is_listed(self, store):
        first, second = store.put(os.urandom(10)), store.put(os.urandom(20))
        store.pin(second)
        held = {content.cid: content for content in store.held()}
        assert list(held) == sorted(held)
        assert (held[first].size, held[first].pinned) == (10, False)
        assert (held[second].size, held[second].pinned) == (20, True)

    def test_only_what_is_unpinned_and_unused_is_removed(self, store):
        cid = store.put(os.urandom(10))
        used_at = next(content.used_at for content in store.held() if content.cid == cid)
        assert store.remove(cid, unused_since=used_at - 10) == 0
        store.pin(cid)
        assert store.remove(cid, unused_since=used_at + 10) == 0
        store.unpin(cid)
        assert store.read(cid)
        assert store.remove(cid, unused_since=used_at + 1000) == 10
        assert cid not in [content.cid for content in store.held()]

    def test_a_reader_that_opened_it_reads_on_after_a_removal(self, store):
        data = os.urandom(3 * MIB)
        cid = store.put(data)
        with store.fetch(cid).open("rb") as file:
            begin = file.read(1000)
            store.remove(cid, unused_since=next(store.held()).used_at + 1000)
            assert begin + file.read() == data

    def test_replicas_are_counted(self, store):
        cid = store.put(os.urandom(10))
        replicas = store.replicas(cid)
        assert replicas.enough
        assert replicas.cid == cid
        assert len(replicas.holders) >= replicas.wanted == 1
        assert replicas.silent == []
        missing = store.replicas(cid_of_bytes(os.urandom(10)))
        assert not missing.enough
        assert missing.holders == []
