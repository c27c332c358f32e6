"""Folders too large for one block: Kubo's own blocks, read back, and nothing believed that Kubo would not write."""

import hashlib
import io
import random
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.content.format import unixfs
from atlas.content.format.car import car_chunks, read_car
from atlas.content.format.cid import cid_of_bytes, cid_of_path, cid_text
from atlas.content.format.dag import blocks_of, parse_node
from atlas.content.format.dag_pb import DAG_PB_PREFIX, RAW_PREFIX, PbNode, TreeLink, encode_node
from atlas.content.format.hamt import encode_shard, hash_of_name, nodes_of_entries, split_name
from atlas.content.format.protobuf import field
from atlas.content.format.unixfs import encode_folder, nodes_of_folder
from atlas.content.local.store import LocalStore
from atlas.content.places.blocks import FetchLimits
from atlas.content.places.fallback import FallbackStore
from atlas.content.places.fetching import content_bytes, fetch
from atlas.content.places.health import Health
from atlas.errors import ContentError, ContentNotFound, CorruptContent
from tests.support.content.kubo_nodes import kubo_nodes

EMPTY = RAW_PREFIX + hashlib.sha256(b"").digest()

# Made for this test by running MurmurHash3 backwards.
SAME_HASH = ("e41jrqx2db4p1aqzi86bat7nhpbhprii", "v2wjpomtms8r4e11SrS7eBN<7;9>O7B`")
ALL_BUT_THE_LAST_BIT = 'vxm5grspf1rs9j07hw"g[<CbI_ R1N7('

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)


class Blocks:
    """A place in memory."""

    name = "memory"

    def __init__(self, blocks: dict[str, bytes]) -> None:
        self.blocks = dict(blocks)
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def block(self, cid: str, timeout_seconds: float | None = None) -> bytes:
        with self._lock:
            self.asked[cid] += 1
        if cid not in self.blocks:
            raise ContentNotFound(f"no {cid}")
        return self.blocks[cid]

    def hold(self, data: bytes) -> bytes:
        cid = node_cid(data)
        self.blocks[cid_text(cid)] = data
        return cid


@pytest.fixture
def local(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def many(tmp_path, monkeypatch) -> Path:
    """A folder of 300 files, which is a HAMT because blocks are small here, with folders in it."""
    monkeypatch.setattr(unixfs, "FOLDER_NODE_BYTES", 4096)
    return write_many(tmp_path / "many", 300, width=3)


def write_many(folder: Path, count: int, width: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:0{width}d}").write_text(str(number % 10) * (number % 5))
    (folder / "inner" / "empty").mkdir(parents=True)
    (folder / "inner" / "ä").write_text("within")
    return folder


def node_cid(data: bytes) -> bytes:
    return DAG_PB_PREFIX + hashlib.sha256(data).digest()


def entry(name: str, cid: bytes = EMPTY, tree_bytes: int = 0) -> TreeLink:
    return TreeLink(cid, name, 0, tree_bytes)


def root_of(entries: list[TreeLink]) -> str:
    *_, root = nodes_of_entries(entries)
    return cid_text(root.cid)


def entries_below(blocks: dict[str, bytes], cid: str) -> dict[str, str]:
    """What a HAMT holds, by the public functions."""
    found = {}
    for link in parse_node(cid, blocks[cid]).links:
        _, name = split_name(link.name)
        found |= {name: link.cid} if name else entries_below(blocks, link.cid)
    return found


def tree_of(path: Path) -> dict[str, bytes | None]:
    return {
        place.relative_to(path).as_posix(): place.read_bytes() if place.is_file() else None for place in path.rglob("*")
    }


def test_roots_are_those_that_ipfs_add_printed():
    """`ipfs add -rQ` of Kubo v0.42.0 with the profile unixfs-v1-2025, over empty files of these names."""
    numbers = [entry(f"{number:05d}") for number in range(10_000)]
    *_, root = nodes_of_folder(numbers)
    assert cid_text(root.cid) == "bafybeigxqfsfvfl6b76kcetmgxwctuikooxyw7qt27g3pdifalpbehidwa"
    deep = [*numbers[:5800], entry(SAME_HASH[0]), entry(ALL_BUT_THE_LAST_BIT)]
    *_, root = nodes_of_folder(sorted(deep, key=lambda entry: entry.name))
    assert cid_text(root.cid) == "bafybeifmqng7accsobh6fswmhvrxta3ndzgkmpbidnfnn3uaczaxfwku74"


def test_names_go_down_as_far_as_their_hashes_agree():
    assert hash_of_name(SAME_HASH[0])[:7] == hash_of_name(ALL_BUT_THE_LAST_BIT)[:7]
    names = [SAME_HASH[0], ALL_BUT_THE_LAST_BIT]
    nodes = list(nodes_of_entries(map(entry, names)))
    assert len(nodes) == 8
    blocks = {cid_text(node.cid): bytes(node.data) for node in nodes}
    assert sorted(entries_below(blocks, cid_text(nodes[-1].cid))) == names


def test_names_of_one_hash_are_refused_with_both_names():
    with pytest.raises(ContentError, match="have the same hash") as caught:
        list(nodes_of_entries(map(entry, [*SAME_HASH, "another"])))
    assert all(repr(name) in str(caught.value) for name in SAME_HASH)


@given(names=st.sets(NAMES, min_size=2, max_size=300), seed=st.randoms())
def test_entries_come_back_in_whatever_order_they_went(names, seed):
    entries = [entry(name, RAW_PREFIX + hashlib.sha256(name.encode()).digest()) for name in sorted(names)]
    nodes = list(nodes_of_entries(entries))
    blocks = {cid_text(node.cid): bytes(node.data) for node in nodes}
    root = cid_text(nodes[-1].cid)
    assert entries_below(blocks, root) == {link.name: cid_text(link.cid) for link in entries}
    seed.shuffle(entries)
    assert root_of(entries) == root
    assert root_of(entries[1:]) != root


@settings(max_examples=20)
@given(names=st.sets(NAMES, min_size=1, max_size=30), most=st.integers(0, 1200))
def test_any_folder_comes_as_it_was_wherever_the_border_is(names, most, tmp_path_factory):
    place = tmp_path_factory.mktemp("any")
    (place / "folder").mkdir()
    for name in names:
        (place / "folder" / name).write_text(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unixfs, "FOLDER_NODE_BYTES", most if len(names) > 1 else 1200)
        blocks = list(blocks_of(place / "folder"))
        path = fetch(blocks[-1].cid, [Blocks(dict(blocks))], LocalStore(place / "store"), Health(None))
        assert tree_of(path) == tree_of(place / "folder")


def test_children_come_before_parents_and_go_into_a_car(many):
    seen = set()
    for cid, data in blocks_of(many):
        assert {link.cid for link in parse_node(cid, data).links} <= seen
        seen.add(cid)
    assert parse_node(cid, data).kind == "shard"
    assert list(read_car(io.BytesIO(b"".join(car_chunks([many]))))) == list(blocks_of(many))


def test_a_store_holds_it_and_names_what_is_damaged(local, many):
    cid = local.put(many)
    path = local.fetch(cid)
    assert cid == cid_of_path(many)
    assert tree_of(path) == tree_of(many)
    assert local.stat(cid).size == sum(place.stat().st_size for place in many.rglob("*") if place.is_file())
    damaged = path / "007"
    damaged.chmod(0o600)
    damaged.write_text("other")
    with pytest.raises(CorruptContent, match=damaged.name):
        local.fetch(cid)


def test_it_is_fetched_and_measured_and_a_fetch_that_was_cut_off_goes_on(local, many):
    name = [name for name in entries_below(dict(blocks_of(many)), cid_of_path(many)) if name != "inner"][-1]
    (many / name).write_text("the last one")
    source = Blocks(dict(blocks_of(many)))
    cid = cid_of_path(many)
    assert content_bytes(cid, [source], Health(None)) == sum(len(data or b"") for data in tree_of(many).values())
    last = cid_of_bytes(b"the last one")
    data = source.blocks.pop(last)
    with pytest.raises(ContentNotFound):
        fetch(cid, [source], local, Health(None))
    assert not local.has(cid)
    source.blocks[last] = data
    before = source.asked.copy()
    assert tree_of(fetch(cid, [source], local, Health(None))) == tree_of(many)
    leaves = {asked: count for asked, count in (source.asked - before).items() if asked.startswith("bafkrei")}
    assert leaves[last] == 1
    assert sum(leaves.values()) <= 2, "what came before is not asked for again, but the file in `inner` may come after"


def test_a_place_that_gives_another_shard_is_found_out(local, many):
    lying, honest = Blocks(dict(blocks_of(many))), Blocks(dict(blocks_of(many)))
    honest.name = "honest"
    cid = cid_of_path(many)
    shards = [link.cid for link in parse_node(cid, honest.blocks[cid]).links if not split_name(link.name)[1]]
    lying.blocks[shards[3]] = honest.blocks[shards[4]]
    assert tree_of(fetch(cid, [lying, honest], local, Health(None))) == tree_of(many)
    with pytest.raises(CorruptContent, match=shards[3]):
        fetch(cid, [lying], LocalStore(local.root.parent / "other"), Health(None))


def test_it_is_refused_before_all_of_it_is_read_when_it_has_too_many_entries(local, many):
    source = Blocks(dict(blocks_of(many)))
    with pytest.raises(ContentError, match="more than 100 files and folders"):
        fetch(cid_of_path(many), [source], local, Health(None), FetchLimits(most_entries=100))
    assert source.asked.total() < 101


def at(place: int, link: TreeLink) -> TreeLink:
    return link._replace(name=f"{place:02X}{link.name}")


def shard(*links: TreeLink, bits: bytes | None = None, rest: bytes = b"\x28\x22\x30\x80\x02") -> bytes:
    """A shard with whatever a liar writes."""
    if bits is None:
        taken = sum(1 << int(link.name[:2], 16) for link in links)
        bits = taken.to_bytes((taken.bit_length() + 7) // 8, "big")
    return encode_node(links, b"\x08\x05" + field(0x12, bits) + rest)


A, B = at(0x0A, entry("a")), at(0x0B, entry("b"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (shard(B, A), "positions are not sorted"),
        (shard(A, at(0x0A, entry("b")), bits=b"\x04\x00"), "one occurs twice"),
        (shard(A, A, bits=b"\x04\x00"), "one occurs twice"),
        (shard(entry("0aa"), B), "'0aa' does not begin with a position"),
        (shard(A, entry("B"), bits=b"\x0c\x00"), "'B' does not begin with a position"),
        (shard(A, entry(""), bits=b"\x0c\x00"), "'' does not begin with a position"),
        (shard(A, at(0x0B, entry(".."))), "'..' cannot be the name"),
        (shard(A, at(0x0B, entry("a/b"))), "cannot be the name"),
        (shard(A, at(0x0B, entry("ä" * 128))), "cannot be the name"),
        (shard(A), "has 1 entries, expected at least two"),
        (shard(), "has 0 entries, expected at least two"),
        (shard(A, B, bits=b"\x00\x0c\x00"), "encoding differs from that of the profile"),
        (shard(A, B, bits=b"\x0c\x00\x00"), "encoding differs from that of the profile"),
        (shard(A, B, bits=b"\x0c\x01"), "encoding differs from that of the profile"),
        (shard(A, B, rest=b"\x28\x23\x30\x80\x02"), "encoding differs from that of the profile"),  # another hash
        (shard(A, B, rest=b"\x28\x22\x30\x80\x04"), "encoding differs from that of the profile"),  # a fanout of 512
        (shard(A, B, rest=b"\x30\x80\x02\x28\x22"), "encoding differs from that of the profile"),
        (shard(A, B, rest=b"\x20\x05\x28\x22\x30\x80\x02"), "gives sizes"),
        (shard(A, B) + b"\x00\x00", "encoding differs from that of the profile"),
    ],
)
def test_a_shard_that_kubo_would_not_write_is_refused(data, why):
    cid = cid_text(node_cid(data))
    with pytest.raises(ContentError, match=why) as caught:
        parse_node(cid, data)
    assert cid in str(caught.value)
    assert parse_node(cid_text(node_cid(shard(A, B))), shard(A, B)).kind == "shard"


@given(start=st.integers(0, 120), length=st.integers(0, 4), other=st.binary(max_size=6))
def test_a_shard_changed_anywhere_is_refused_or_reads_as_another(start, length, other):
    good = shard(A, B)
    data = good[:start] + other + good[start + length :]
    try:
        node = parse_node(cid_text(node_cid(data)), data)
    except ContentError:
        return
    assert data == good or node != parse_node(cid_text(node_cid(good)), good)


def small_hamt(names: list[str], source: Blocks) -> list[PbNode]:
    nodes = list(nodes_of_entries(map(entry, names)))
    for node in nodes:
        source.hold(bytes(node.data))
    return nodes


def wrong_place(source: Blocks) -> bytes:
    return shard(A, B)


def wrong_way(source: Blocks) -> bytes:
    """A good shard of the second level, at another place of the first."""
    nodes = small_hamt([SAME_HASH[0], ALL_BUT_THE_LAST_BIT], source)
    return shard(at(0xFF, entry("", nodes[-2].cid, nodes[-2].tree_bytes)))


def lower_shard_as_root(source: Blocks) -> bytes:
    return bytes(small_hamt([SAME_HASH[0], ALL_BUT_THE_LAST_BIT], source)[-2].data)


def leaf_as_shard(source: Blocks) -> bytes:
    return shard(at(1, entry("")))


def folder_as_shard(source: Blocks) -> bytes:
    folder = encode_folder([])
    return shard(at(1, entry("", source.hold(folder), len(folder))))


def wrong_size(source: Blocks) -> bytes:
    nodes = small_hamt([SAME_HASH[0], ALL_BUT_THE_LAST_BIT], source)
    return shard(at(0x28, entry("", nodes[-2].cid, nodes[-2].tree_bytes + 1)))


def too_deep(source: Blocks) -> bytes:
    data = shard(*[at(place, entry(name)) for place, name in enumerate(SAME_HASH)])
    size = len(data)
    for place in reversed(hash_of_name(SAME_HASH[0])):
        data = shard(at(place, entry("", source.hold(data), size)))
        size += len(data)
    return data


def fits_one_block(source: Blocks) -> bytes:
    return bytes(small_hamt([str(number) for number in range(300)], source)[-1].data)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (wrong_place, f"'a' has the hash {hash_of_name('a').hex()}, but is in its HAMT at 0a"),
        (wrong_way, "but is in its HAMT at ffcaf9999168c6e"),
        (lower_shard_as_root, "but is in its HAMT at caf9999168c6e"),
        (leaf_as_shard, "in its HAMT at 01, is not a shard of 0 bytes"),
        (folder_as_shard, "in its HAMT at 01, is not a shard of 4 bytes"),
        (wrong_size, "in its HAMT at 28, is not a shard of"),
        (too_deep, "HAMT is more than 8 shards deep at 28caf9999168c6ee"),
        (fits_one_block, "its folder 'inner' is a HAMT, but fits into one block"),
    ],
)
def test_shards_that_do_not_fit_together_are_refused_and_nothing_is_kept(local, make, why):
    source = Blocks({})
    hamt = make(source)
    root = encode_folder([entry("inner", source.hold(hamt), len(hamt))])
    cid = cid_text(source.hold(root))
    for ask in (lambda: fetch(cid, [source], local, Health(None)), lambda: content_bytes(cid, [source], Health(None))):
        with pytest.raises(ContentError, match=why) as caught:
            ask()
        assert f"{cid} is refused" in str(caught.value)
    assert list(local.held()) == []
    assert not any(place.is_file() for place in local.partial(cid).rglob("*"))


def test_encoding_a_shard_is_what_a_second_encoder_writes():
    assert encode_shard([A, B]) == shard(A, B)


@pytest.fixture(scope="module")
def varied(tmp_path_factory) -> Path:
    """6,000 names of many kinds, with folders in it of which one is a HAMT too."""
    folder = tmp_path_factory.mktemp("varied") / "folder"
    folder.mkdir()
    rng = random.Random(7)
    for number in range(6000):
        name = f"{rng.choice(['', 'ä', 'no spaces? ', '😀', '.', 'FF'])}{number:x}{'n' * rng.choice([0, 0, 20, 200])}"
        (folder / name).write_bytes(rng.randbytes(rng.choice([0, 0, 1, 9])))
    (folder / SAME_HASH[0]).touch()
    (folder / ALL_BUT_THE_LAST_BIT).write_text("eight shards below each other")
    (folder / "long").write_bytes(bytes(3 << 20) + b"end")
    (folder / "plain").mkdir()
    (folder / "plain" / "file").touch()
    write_many(folder / "many", 1000, width=250)
    return folder


@pytest.mark.kubo
def test_kubo_writes_the_same_blocks(ipfs, varied):
    cid = ipfs("add", "-rQ", "--hidden", varied).decode().strip()
    assert cid == cid_of_path(varied)
    assert dict(read_car(io.BytesIO(ipfs("dag", "export", "--progress=false", cid)))) == dict(blocks_of(varied))


@pytest.mark.kubo
def test_kubo_prints_the_roots_that_are_written_down_here(ipfs, tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05d}").touch()
    assert ipfs("add", "-rQ", tmp_path).decode().strip() == cid_of_path(tmp_path)


@pytest.mark.kubo
@pytest.mark.slow
def test_a_folder_goes_to_one_node_and_comes_from_another(kubo, tmp_path):
    many = write_many(tmp_path / "many", 1000, width=250)
    writing = FallbackStore(LocalStore(tmp_path / "writing"), kubo.nodes[:1], [], replicas=1)
    cid = writing.put(many)
    assert kubo.nodes[0].holds(cid)
    assert kubo.nodes[0].add(many) == cid
    reading = FallbackStore(LocalStore(tmp_path / "reading"), kubo.nodes[1:2], [], replicas=1)
    assert reading.stat(cid) == writing.stat(cid)
    assert tree_of(reading.fetch(cid)) == tree_of(many)
    assert dict(read_car(Stream(kubo.nodes[0].export_car(cid)))) == dict(blocks_of(many))


class Stream(io.BytesIO):
    def __init__(self, pieces) -> None:
        super().__init__(b"".join(pieces))


@pytest.mark.kubo
@pytest.mark.slow
def test_a_node_that_makes_a_hamt_of_larger_folders_only_takes_ours_all_the_same(kubo_is_built, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(890):
        (folder / f"{number:0250d}").touch()
    with kubo_nodes(tmp_path / "home", 1) as nodes:
        (running,) = nodes.running
        running.ipfs("config", "Import.UnixFSHAMTDirectorySizeEstimation", "links")
        running.kill()
        running = running.start_again()
        store = FallbackStore(LocalStore(tmp_path / "store"), [running.client], [], replicas=1)
        assert running.client.add(folder) != cid_of_path(folder)
        assert store.put(folder) == cid_of_path(folder)
        assert running.client.holds(cid_of_path(folder))
