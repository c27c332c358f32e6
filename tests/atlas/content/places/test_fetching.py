"""Content from several places: whole and right, or a clear error and nothing that looks like content."""

import errno
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import activity
from atlas.content.format.cid import cid_bytes, cid_of_bytes, cid_of_path, cid_text
from atlas.content.format.dag_pb import DAG_PB_PREFIX, TreeLink
from atlas.content.format.unixfs import encode_file, encode_folder
from atlas.content.local.store import LocalStore
from atlas.content.places.blocks import FetchLimits
from atlas.content.places.fetching import content_bytes, fetch
from atlas.content.places.gateway import Gateway
from atlas.content.places.health import DISTRUST_SECONDS, Health
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from tests.support.content.block_servers import BlockServer
from tests.support.content.kubo_nodes import kubo_nodes

MIB = 1 << 20
QUICK = FetchLimits(first_patience_seconds=1.0, patience_seconds=1.0)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(None, clock)


@pytest.fixture
def local(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def servers():
    with ExitStack() as stack:
        yield [stack.enter_context(BlockServer().running()) for _ in range(3)]


@pytest.fixture
def large(tmp_path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(random.Random(1).randbytes(6 * MIB + 123))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "folder"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "nothing").touch()
    (folder / ".hidden").write_text("also here")
    (folder / "deep" / "deeper" / "words").write_text("some words")
    (folder / "deep" / "large").write_bytes(random.Random(2).randbytes(2 * MIB + 5))
    return folder


def gateways(servers) -> list[Gateway]:
    return [Gateway(server.url) for server in servers]


def contents(local: LocalStore) -> list[str]:
    return [held.cid for held in local.held()]


def partials(local: LocalStore) -> list[Path]:
    return list((local.root / "partial").glob("*"))


def node(data: bytes) -> tuple[str, bytes]:
    """A block as a dag-pb node."""
    return cid_text(DAG_PB_PREFIX + hashlib.sha256(data).digest()), data


def file_node(children: list[tuple[str, int]]) -> tuple[str, bytes]:
    return node(encode_file([TreeLink(cid_bytes(cid), "", size, size) for cid, size in children]))


def folder_node(children: dict[str, str], size: int = 0) -> tuple[str, bytes]:
    return node(encode_folder([TreeLink(cid_bytes(cid), name, 0, size) for name, cid in sorted(children.items())]))


def test_a_small_document_takes_one_request(servers, local, health):
    data = b'{"a":"small document"}'
    cid = servers[0].hold(cid_of_bytes(data), data)
    assert fetch(cid, gateways(servers), local, health).read_bytes() == data
    assert sum(sum(server.asked.values()) for server in servers) == 1
    assert contents(local) == [cid]


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1])
def test_files_around_one_chunk(servers, local, health, tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)
    [cid] = servers[0].serve([source])
    assert fetch(cid, gateways(servers), local, health).read_bytes() == source.read_bytes()
    assert partials(local) == []


def test_a_large_file_comes_whole(servers, local, health, large):
    [cid] = servers[1].serve([large])
    path = fetch(cid, gateways(servers), local, health)
    assert path.read_bytes() == large.read_bytes()
    assert path == local.fetch(cid)
    assert set(servers[1].asked.values()) == {1}
    assert len(servers[1].asked) == 8  # a root and seven leaves
    assert sum(servers[0].asked.values()) < 8, "a place that lacks the root is not asked first for each leaf"
    assert partials(local) == []


def test_a_folder_comes_whole(servers, local, health, folder):
    [cid] = servers[0].serve([folder])
    path = fetch(cid, gateways(servers), local, health)
    assert cid_of_path(path) == cid == cid_of_path(folder)
    assert (path / "deep" / "large").read_bytes() == (folder / "deep" / "large").read_bytes()
    assert (path / "empty").is_dir()
    assert partials(local) == []


NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
FOLDERS = st.recursive(
    st.binary(max_size=50) | st.sampled_from([bytes(MIB), b"y" * (MIB + 1)]),
    lambda inside: st.dictionaries(NAMES, inside, max_size=4),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(tree=FOLDERS)
def test_any_folder_comes_as_it_was(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    write_tree(folder / "tree", tree)
    with BlockServer().running() as server:
        [cid] = server.serve([folder / "tree"])
        path = fetch(cid, gateways([server]), LocalStore(folder / "store"), Health(None))
    assert cid_of_path(path) == cid
    assert read_tree(path) == tree


def write_tree(path: Path, tree: bytes | dict) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
        return
    path.mkdir()
    for name, below in tree.items():
        write_tree(path / name, below)


def read_tree(path: Path) -> bytes | dict:
    return path.read_bytes() if path.is_file() else {below.name: read_tree(below) for below in path.iterdir()}


def test_what_every_place_lacks_is_not_found_and_nobody_is_blamed(servers, local, health):
    cid = cid_of_bytes(b"nobody has this")
    with pytest.raises(ContentNotFound, match="does not have it"):
        fetch(cid, gateways(servers), local, health)
    assert [server.asked[cid] for server in servers] == [1, 1, 1]
    assert len(health.available(gateways(servers))) == 3


def test_without_any_place_nothing_is_found(local, health):
    with pytest.raises(ContentNotFound, match="none is configured"):
        fetch(cid_of_bytes(b"x"), [], local, health)


@pytest.mark.parametrize("behaviour", ["lying", "swapped", "endless"])
def test_a_lie_is_found_out_and_remembered_and_the_next_place_is_asked(servers, local, health, clock, large, behaviour):
    liar, honest, _ = servers
    [cid] = liar.serve([large])
    honest.serve([large])
    leaf = sorted(liar.blocks)[-1]
    liar.behave[leaf] = behaviour
    sources = gateways(servers[:2])
    assert fetch(cid, sources, local, health).read_bytes() == large.read_bytes()
    assert health.order(sources) == sources[1:]
    asked = liar.asked.total()
    clock.now += DISTRUST_SECONDS / 2
    local.remove(cid, unused_since=2e9 + 1e10)
    fetch(cid, sources, local, health)
    assert liar.asked.total() == asked


def test_with_liars_only_nothing_is_kept_that_is_wrong(servers, local, health, large):
    [cid] = servers[0].serve([large])
    servers[0].behave[sorted(set(servers[0].blocks) - {cid})[3]] = "lying"
    with pytest.raises(CorruptContent, match=servers[0].url):
        fetch(cid, gateways(servers[:1]), local, health)
    assert contents(local) == []
    with pytest.raises(ContentNotFound, match=f"{servers[0].url} is excluded, because it sent wrong bytes"):
        fetch(cid, gateways(servers[:1]), local, health)


@pytest.mark.parametrize("behaviour", ["silent", "truncated", "redirecting"])
def test_a_place_that_fails_is_replaced_by_the_next(servers, local, health, large, behaviour):
    failing, honest, _ = servers
    [cid] = failing.serve([large])
    honest.serve([large])
    for leaf in set(failing.blocks) - {cid}:
        failing.behave[leaf] = behaviour
    sources = gateways(servers[:2])
    assert fetch(cid, sources, local, health, QUICK).read_bytes() == large.read_bytes()
    assert health.available(sources) == sources[1:]
    assert health.order(sources) == sources[::-1], "a failure is forgiven sooner than a lie"
    assert failing.asked.total() < 16, "a place that failed is left alone"


def test_every_block_that_arrives_is_reported_as_it_arrives(servers, local, health, large):
    [cid] = servers[0].serve([large])
    reports = []
    with activity.listening(lambda stage, size: reports.append(size)):
        fetch(cid, gateways(servers[:1]), local, health)
    size = large.stat().st_size
    assert reports.count(MIB) >= size // MIB
    assert sum(reports) >= size


def test_a_place_that_is_down_is_told_from_content_that_is_not_there(servers, local, health):
    servers[0].stop()
    with pytest.raises(ContentUnreachable, match=f"{servers[1].url} does not have it.*{servers[0].url} failed"):
        fetch(cid_of_bytes(b"x"), gateways(servers[:2]), local, health, QUICK)


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(servers, local, health, large, clock):
    server = servers[0]
    [cid] = server.serve([large])
    missing = cid_of_bytes(large.read_bytes()[5 * MIB : 6 * MIB])
    data = server.blocks.pop(missing)
    with pytest.raises(ContentNotFound):
        fetch(cid, gateways([server]), local, health)
    assert contents(local) == [] and not local.has(cid)
    server.hold(missing, data)
    before = server.asked.copy()
    assert fetch(cid, gateways([server]), local, health).read_bytes() == large.read_bytes()
    again = server.asked - before
    assert again[missing] == 1 and again.total() <= 4, "the root and what had not come before"


def test_a_cut_off_folder_goes_on_too_even_after_it_was_made_read_only(servers, local, health, folder):
    server = servers[0]
    [cid] = server.serve([folder])
    missing = cid_of_bytes(b"some words")
    data = server.blocks.pop(missing)
    with pytest.raises(ContentNotFound):
        fetch(cid, gateways([server]), local, health)
    [partial] = partials(local)
    for path in [*partial.rglob("*"), partial]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    server.hold(missing, data)
    assert cid_of_path(fetch(cid, gateways([server]), local, health)) == cid


def test_altered_bytes_of_a_cut_off_fetch_are_fetched_again(servers, local, health, large):
    server = servers[0]
    [cid] = server.serve([large])
    local.partial(cid).write_bytes(b"y" + large.read_bytes()[1 : 3 * MIB])
    assert fetch(cid, gateways([server]), local, health).read_bytes() == large.read_bytes()
    assert server.asked.total() == 1 + 7 - 2


def test_a_killed_fetch_goes_on_and_leaves_no_content(servers, local, health, large):
    server = servers[0]
    [cid] = server.serve([large])
    last = cid_of_bytes(large.read_bytes()[6 * MIB :])
    server.behave[last] = "silent"
    code = (
        "import sys; from pathlib import Path; from atlas.content.places.fetching import fetch\n"
        "from atlas.content.places.gateway import Gateway; from atlas.content.places.health import Health\n"
        "from atlas.content.local.store import LocalStore; cid, url, root = sys.argv[1:]\n"
        "fetch(cid, [Gateway(url)], LocalStore(Path(root)), Health(None))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, cid, server.url, local.root])
    while not server.asked[last]:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert contents(local) == []
    server.behave.clear()
    server.released.set()
    server.asked.clear()
    assert fetch(cid, gateways([server]), local, health).read_bytes() == large.read_bytes()
    assert server.asked.total() <= 6


def test_a_damaged_local_copy_is_healed(servers, local, health, large):
    [cid] = servers[0].serve([large])
    path = local.fetch(local.put(large))
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    assert fetch(cid, gateways(servers), local, health).read_bytes() == large.read_bytes()


def test_fetches_of_the_same_content_at_once_share_the_work(servers, local, health, large):
    [cid] = servers[0].serve([large])
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch(cid, gateways(servers[:1]), local, health)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == large.read_bytes() for path in paths] == [True] * 4
    assert servers[0].asked.total() == 4 + 7, "each asks for the root, one for the leaves"
    assert partials(local) == []


def test_no_thread_outlives_a_fetch(servers, local, health, large):
    [cid] = servers[0].serve([large])
    servers[0].behave[sorted(set(servers[0].blocks) - {cid})[0]] = "lying"
    with pytest.raises(CorruptContent):
        fetch(cid, gateways(servers[:1]), local, health)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("fetch")] == []


def test_a_content_that_is_too_large_is_refused_before_it_is_fetched(servers, local, health, large, folder):
    for source in (large, folder):
        [cid] = servers[0].serve([source])
        with pytest.raises(ContentError, match=f"{cid} is refused: it has more than {2 * MIB} bytes"):
            fetch(cid, gateways(servers), local, health, FetchLimits(most_bytes=2 * MIB))
    assert contents(local) == []


def test_a_file_that_claims_more_than_the_disk_has_is_refused(servers, local, health):
    leaf = servers[0].hold(cid_of_bytes(bytes(MIB)), bytes(MIB))
    tera = 1 << 40
    level = file_node([(leaf, MIB)] * 1024)
    servers[0].hold(*level)
    root = servers[0].hold(*file_node([(level[0], 1 << 30)] * 1024))
    with pytest.raises(ContentError, match=f"{tera} bytes, but .* has room for"):
        fetch(root, gateways(servers), local, health)
    assert servers[0].asked[leaf] == 0


def test_folders_that_multiply_are_refused(servers, local, health):
    """Folders of a hundred entries, each of which is the folder before: few blocks, and no end of folders."""
    below = servers[0].hold(cid_of_bytes(b""), b"")
    for _ in range(20):
        below = servers[0].hold(*folder_node({f"{number:04}": below for number in range(100)}))
    with pytest.raises(ContentError, match="more than 500 files and folders"):
        fetch(below, gateways(servers), local, health, FetchLimits(most_entries=500))
    with pytest.raises(ContentError, match="more than 500 files and folders"):
        content_bytes(below, gateways(servers), health, FetchLimits(most_entries=500))


def test_trees_that_are_too_deep_are_refused(servers, local, health):
    leaf = servers[0].hold(cid_of_bytes(b"x"), b"x")
    deep = leaf
    for _ in range(100):
        deep = servers[0].hold(*folder_node({"a": deep}))
    with pytest.raises(ContentError, match="folders are more than 64 deep"):
        fetch(deep, gateways(servers), local, health)
    chain = leaf
    for _ in range(100):
        chain = servers[0].hold(*file_node([(chain, 1)]))
    with pytest.raises(ContentError, match="tree of a file is more than 6 nodes deep"):
        fetch(chain, gateways(servers), local, health)


def test_a_node_that_misstates_what_is_below_is_refused(servers, local, health):
    leaf = servers[0].hold(cid_of_bytes(b"short"), b"short")
    full = servers[0].hold(cid_of_bytes(bytes(MIB)), bytes(MIB))
    wrong_leaf = servers[0].hold(*file_node([(full, MIB), (leaf, 6)]))
    inner = servers[0].hold(*file_node([(full, MIB), (leaf, 5)]))
    wrong_inner = servers[0].hold(*file_node([(inner, MIB)]))
    huge_leaf = servers[0].hold(*folder_node({"a": leaf}, size=1 << 50))
    wrong_size = servers[0].hold(*folder_node({"a": leaf}, size=4))
    for root, message in [
        (wrong_leaf, "5 bytes, but its parent node gives 6"),
        (wrong_inner, f"{inner} is not a file of {MIB} bytes"),
        (huge_leaf, "room for"),
        (wrong_size, "5 bytes, but its parent node gives 4"),
    ]:
        with pytest.raises(ContentError, match=message):
            fetch(root, gateways(servers), local, health)
    assert contents(local) == []


def test_a_tree_that_our_stores_would_name_otherwise_is_refused_and_leaves_nothing(servers, local, health):
    """Valid blocks of a file of one chunk under a needless node: `LocalStore` gives that file the CID of its leaf."""
    leaf = servers[0].hold(cid_of_bytes(b"one chunk"), b"one chunk")
    root = servers[0].hold(*file_node([(leaf, 9)]))
    with pytest.raises(CorruptContent):
        fetch(root, gateways(servers), local, health)
    assert contents(local) == [] and partials(local) == []


def test_a_full_disk_is_a_clear_error_and_gives_its_room_back(servers, local, health, large, monkeypatch):
    [cid] = servers[0].serve([large])
    write, written = os.pwrite, []

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(offset)
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ContentError, match=r"No space left on device.*Free some space"):
        fetch(cid, gateways(servers), local, health)
    assert contents(local) == [] and partials(local) == []
    monkeypatch.undo()
    assert fetch(cid, gateways(servers), local, health).read_bytes() == large.read_bytes()


def test_a_disk_without_room_is_noticed_before_anything_is_fetched(servers, local, health, large, monkeypatch):
    [cid] = servers[0].serve([large])
    usage = shutil.disk_usage(local.root.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=MIB))
    with pytest.raises(ContentError, match="room for"):
        fetch(cid, gateways(servers), local, health)
    assert servers[0].asked == {cid: 1}


def test_the_size_is_told_without_the_bytes(servers, local, health, large, folder):
    for source, size in [(large, 6 * MIB + 123), (folder, 9 + 10 + 2 * MIB + 5)]:
        [cid] = servers[0].serve([source])
        assert content_bytes(cid, gateways(servers), health) == size
        local_size = local.stat(local.put(source)).size
        assert local_size == size
    leaf = servers[0].hold(cid_of_bytes(b"words"), b"words")
    assert content_bytes(leaf, gateways(servers), health) == 5


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(servers, local, health, tmp_path):
    """A file of the same block over and over: 256 MiB from a server that holds two blocks."""
    source = tmp_path / "zeros"
    with source.open("wb") as file:
        file.truncate(256 * MIB)
    [cid] = servers[0].serve([source])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fetch(cid, gateways(servers[:1]), local, health)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.kubo
@pytest.mark.slow
def test_kubo_a_node_that_is_killed_in_mid_transfer(kubo, local, health, tmp_path):
    """The only holder dies after some blocks: an error and no content, then the rest when it is back."""
    source = tmp_path / "source"
    source.write_bytes(random.Random("killed").randbytes(24 * MIB))
    limits = FetchLimits(first_patience_seconds=8, patience_seconds=3)
    with kubo_nodes(tmp_path / "nodes", 2) as nodes:
        near, far = nodes.running
        cid = far.client.add(source)
        watched = Watched(near.client, at=8, then=far.kill)
        with pytest.raises(ContentError, match=near.rpc):
            fetch(cid, [watched], local, health, limits)
        assert contents(local) == []
        far = far.start_again()
        try:
            near.client.connect(far.addresses[0])
            watched.asked.clear()
            path = fetch(cid, [watched, far.client], local, health, limits)
        finally:
            far.kill()
        assert path.read_bytes() == source.read_bytes()
        # Four leaves travel at a time, so of seven that were asked for three had come: the root and 21 leaves are left.
        assert watched.asked.total() <= 22, "what came before the kill is not asked for again"


class Watched:
    """A source that does something when it is asked for its nth block."""

    def __init__(self, source, at: int, then) -> None:
        self.name = source.name
        self.asked: Counter[str] = Counter()
        self._source, self._at, self._then = source, at, then
        self._lock = threading.Lock()

    def block(self, cid: str, timeout_seconds: float | None = None) -> bytes:
        with self._lock:
            self.asked[cid] += 1
            if self.asked.total() == self._at:
                self._at = -1
                self._then()
        return self._source.block(cid, timeout_seconds)
