"""Folders in the folder store: whole or absent, read-only, and named where they are damaged."""

import resource
import shutil
import time
from pathlib import Path

import pytest

from atlas.content.format.cid import cid_of_path
from atlas.content.local.store import LocalStore
from atlas.errors import ContentError, CorruptContent
from tests.support.content.local_stores import contents, start, temporaries

MIB = 1 << 20


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def test_a_folder_is_held_as_it_is(store, folder):
    cid = store.put(folder)
    path = store.fetch(cid)
    assert cid == cid_of_path(folder)
    assert path == store.root / cid[-2:] / cid
    for there in folder.rglob("*"):
        kept = path / there.relative_to(folder)
        assert kept.is_dir() if there.is_dir() else kept.read_bytes() == there.read_bytes()
        assert kept.stat().st_mode & 0o222 == 0
    assert path.stat().st_mode & 0o777 == 0o555
    assert len(list(path.rglob("*"))) == len(list(folder.rglob("*")))
    assert store.has(cid)
    assert store.stat(cid).size == sum(there.stat().st_size for there in folder.rglob("*") if there.is_file())
    assert store.put(path) == store.put(folder) == cid
    assert temporaries(store) == []


def test_a_folder_has_no_bytes_to_read(store, folder):
    with pytest.raises(ContentError, match="is a folder"):
        store.read(store.put(folder))


def test_a_folder_that_cannot_be_stored_leaves_nothing(store, folder):
    (folder / "b" / "z").symlink_to("/etc/passwd")
    with pytest.raises(ContentError, match=r"b/z is neither a file nor a folder"):
        store.put(folder)
    assert contents(store) == temporaries(store) == []


def change(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"other")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda path: change(path / "b" / "x"), "b/x"),
        (lambda path: (path / "b" / "x").unlink(), "b/x"),
        (lambda path: (path / "new").touch(), "new"),
        (lambda path: (path / "empty").rmdir(), "empty"),
        (lambda path: (change(path / "b" / "x"), change(path / "z")), "b/x, z"),
        (lambda path: shutil.rmtree(path / "b"), "files: b/c, b/long, b/x)"),
        (lambda path: (path / "b" / "link").symlink_to("/etc/passwd"), "b/link is neither a file nor a folder"),
    ],
)
def test_what_is_damaged_in_a_folder_is_named_and_a_new_put_heals_it(store, folder, damage, named):
    cid = store.put(folder)
    for inner in [store.fetch(cid), *store.fetch(cid).rglob("*/")]:
        inner.chmod(0o700)
    damage(store.fetch(cid))
    with pytest.raises(CorruptContent) as caught:
        store.fetch(cid)
    assert cid in str(caught.value)
    assert named in str(caught.value)
    assert store.put(folder) == cid
    assert cid_of_path(store.fetch(cid)) == cid
    assert temporaries(store) == []


def test_without_its_list_of_names_a_damaged_folder_is_still_found(store, folder):
    cid = store.put(folder)
    (store.root / "names" / f"{cid}.json").write_text("{")
    change(store.fetch(cid) / "z")
    with pytest.raises(CorruptContent, match=f"{cid} is corrupt: expected"):
        store.fetch(cid)


@pytest.mark.parametrize("intruder", [lambda path: path.mkdir(), lambda path: path.touch()])
def test_what_has_the_name_of_other_content_is_replaced(store, folder, intruder):
    for source in (folder, folder / "z"):
        cid = cid_of_path(source)
        path = store.root / cid[-2:] / cid
        path.parent.mkdir(parents=True, exist_ok=True)
        intruder(path)
        with pytest.raises(CorruptContent, match=cid):
            store.fetch(cid)
        assert store.put(source) == cid
        assert cid_of_path(store.fetch(cid)) == cid


def test_when_the_disk_fills_up_within_a_folder_nothing_is_left_behind(store, folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 100, hard))
    try:
        with pytest.raises(ContentError, match=r"Nothing was stored\. Free some space"):
            store.put(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(store) == temporaries(store) == []


def test_a_writer_killed_in_mid_put_of_a_folder_leaves_nothing_visible(store, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "first").write_bytes(b"first")
    with (source / "second").open("wb") as stream:
        stream.truncate(4 << 30)  # takes seconds to copy
    writer = start("LocalStore(Path(argv[0])).put(Path(argv[1]))", store.root, source)
    while not list(store.root.glob("tmp/*/content/second")):
        assert writer.poll() is None
        time.sleep(0.001)
    LocalStore(store.root)
    assert len(temporaries(store)) == 1, "a living writer is not swept"
    writer.kill()
    writer.communicate()
    assert contents(store) == []
    assert temporaries(LocalStore(store.root)) == []


def test_two_writers_of_one_folder_and_a_reader_at_once(store, folder):
    """The reader takes what is there: it must be whole whenever it is there, and must not go once it came."""
    shutil.rmtree(folder / "b")
    cid = cid_of_path(folder)
    writer = "for _ in range(40): print(LocalStore(Path(argv[0])).put(Path(argv[1])))"
    writers = [start(writer, store.root, folder) for _ in range(2)]
    reads = 0
    while any(process.poll() is None for process in writers):
        if store.has(cid):
            store.fetch(cid)
            reads += 1
    assert reads > 0
    assert [set(process.communicate()[0].split()) for process in writers] == [{cid}, {cid}]
    assert [path.name for path in contents(store)] == [cid]
    assert temporaries(store) == []
