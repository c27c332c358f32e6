"""The folder store: whole or absent, whatever is killed, shared or damaged."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes, cid_of_path
from atlas.content.local.store import LocalStore
from atlas.errors import ContentError, ContentNotFound, CorruptContent
from tests.support.content.local_stores import contents, start, temporaries

MIB = 1 << 20


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def test_what_was_put_can_be_had(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * (MIB + 5))
    cid = store.put(source)
    assert store.has(cid)
    assert store.read(cid) == source.read_bytes()
    assert store.fetch(cid).read_bytes() == source.read_bytes()
    assert store.fetch(cid) == store.root / cid[-2:] / cid
    assert store.stat(cid).size == MIB + 5
    assert store.stat(cid).cid == cid == store.put(source.read_bytes())
    assert temporaries(store) == []


@given(data=st.binary(max_size=2000))
def test_bytes_come_back_under_their_own_cid(data, tmp_path_factory):
    store = LocalStore(tmp_path_factory.getbasetemp() / "property-store")
    cid = store.put(data)
    assert cid == cid_of_bytes(data)
    assert store.read(cid) == data


def test_what_is_not_there_is_named(store):
    cid = cid_of_bytes(b"never put")
    assert not store.has(cid)
    for ask in (store.fetch, store.read, store.stat, store.pin):
        with pytest.raises(ContentNotFound, match=cid):
            ask(cid)
    assert not store.root.exists(), "asking must not create anything"


@pytest.mark.parametrize("text", ["", "hello", "../../../etc/passwd", "bafkrei"])
def test_text_that_is_no_cid_is_refused_by_every_method(store, text):
    for ask in (store.fetch, store.read, store.stat, store.pin, store.unpin, store.has):
        with pytest.raises(ContentError, match="is not a content identifier"):
            ask(text)


@pytest.mark.parametrize("damage", [b"", b"x", b"hello worlD", b"hello world and more"])
def test_a_damaged_file_is_an_error_that_names_both_cids_and_a_new_put_heals_it(store, damage):
    cid = store.put(b"hello world")
    path = store.fetch(cid)
    path.chmod(0o600)
    path.write_bytes(damage)
    for ask in (store.fetch, store.read):
        with pytest.raises(CorruptContent) as caught:
            ask(cid)
        assert cid in str(caught.value)
        assert cid_of_bytes(damage) in str(caught.value)
    assert store.put(b"hello world") == cid
    assert store.read(cid) == b"hello world"


def test_stored_files_are_read_only(store):
    assert store.fetch(store.put(b"text")).stat().st_mode & 0o777 == 0o444


def test_a_source_that_cannot_be_read_is_named_and_leaves_nothing(store, tmp_path):
    with pytest.raises(ContentError, match=r"Cannot store .*source in .*Nothing was stored"):
        store.put(tmp_path / "source")
    assert contents(store) == temporaries(store) == []


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ContentError, match=r"Cannot store 4 bytes in .*Not a directory"):
        LocalStore(tmp_path / "file").put(b"data")


def test_when_the_disk_is_full_nothing_is_left_behind(store):
    """A limit on file size stops the write half-way, as a full disk does."""
    held = store.put(b"held before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 100, hard))
    try:
        with pytest.raises(ContentError, match=r"Nothing was stored\. Free some space"):
            store.put(bytes(3 * MIB))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in contents(store)] == [held]
    assert temporaries(store) == []


def put_in_the_middle(store: LocalStore, tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A writer that has read 2.5 MiB of a pipe and waits for more; returns it with the pipe's other end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = start("print(LocalStore(Path(argv[0])).put(Path(argv[1])))", store.root, pipe)
    descriptor = os.open(pipe, os.O_WRONLY)
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(b"a" * (5 * MIB // 2))
    return writer, descriptor


def test_a_writer_killed_in_mid_put_leaves_nothing_visible(store, tmp_path):
    writer, descriptor = put_in_the_middle(store, tmp_path)
    assert len(temporaries(store)) == 1, "the writer must be in the middle"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    os.close(descriptor)
    assert contents(store) == []
    assert len(temporaries(store)) == 1
    again = LocalStore(store.root)
    assert temporaries(again) == [], "the next store sweeps what the dead left"
    assert again.read(again.put(b"after")) == b"after"


def test_a_living_writer_is_not_swept(store, tmp_path):
    writer, descriptor = put_in_the_middle(store, tmp_path)
    LocalStore(store.root)
    assert len(temporaries(store)) == 1
    os.close(descriptor)
    output, _ = writer.communicate()
    assert store.read(output.strip()) == b"a" * (5 * MIB // 2)
    assert temporaries(store) == []


@pytest.mark.parametrize("completed", [1, 5, 20])
def test_what_put_returned_before_the_kill_is_there_and_nothing_else_is_wrong(store, completed):
    code = """
store = LocalStore(Path(argv[0]))
for number in range(100_000):
    print(store.put(f"content {number} ".encode() * 20_000), flush=True)
"""
    writer = start(code, store.root)
    promised = [writer.stdout.readline().strip() for _ in range(completed)]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    for cid in promised:
        assert store.has(cid)
    for path in contents(store):
        assert cid_of_path(path) == path.name


def test_two_writers_and_a_sweeper_at_once(store):
    """Both writers put the same contents and some of their own; the third keeps opening (and so sweeping) the store."""
    writer = """
store = LocalStore(Path(argv[0]))
for number in range(60):
    print(store.put(f"same {number}".encode() * 5000))
    print(store.put(f"own {argv[1]} {number}".encode() * 5000))
"""
    writers = [start(writer, store.root, name) for name in "ab"]
    sweeper = start("while True: LocalStore(Path(argv[0]))", store.root)
    promised = [process.communicate()[0].split() for process in writers]
    sweeper.kill()
    sweeper.communicate()
    assert [process.returncode for process in writers] == [0, 0]
    assert len(set(promised[0]) & set(promised[1])) == 60
    assert sorted(path.name for path in contents(store)) == sorted(set(promised[0] + promised[1]))
    for path in contents(store):
        assert store.fetch(path.name) == path
    assert temporaries(store) == []


def test_a_long_file_is_put_with_little_memory(store, tmp_path):
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(256 * MIB)
    code = """
import resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store, before = LocalStore(Path(argv[0])), peak()
cid = store.put(Path(argv[1]))
store.fetch(cid)
print(peak() - before)
"""
    output, _ = start(code, store.root, tmp_path / "long").communicate()
    assert int(output) < 20 * 1024, "kibibytes over the baseline"
