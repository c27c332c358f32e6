"""Blocks: what is written is read back, and nothing that came from elsewhere is believed."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atlas.content.format import unixfs
from atlas.content.format.cid import cid_of_bytes, cid_of_path, cid_text, is_leaf
from atlas.content.format.dag import LARGEST_BLOCK, blocks_of, check_block, parse_node
from atlas.content.format.dag_pb import DAG_PB_PREFIX, RAW_PREFIX, TreeLink
from atlas.content.format.protobuf import varint
from atlas.content.format.unixfs import encode_file, encode_folder
from atlas.errors import ContentError, CorruptContent

MIB = 1 << 20
LEAF = RAW_PREFIX + hashlib.sha256(b"leaf").digest()
INNER = DAG_PB_PREFIX + hashlib.sha256(b"inner").digest()


def node_cid(data: bytes) -> str:
    return cid_text(DAG_PB_PREFIX + hashlib.sha256(data).digest())


def parsed(data: bytes):
    return parse_node(node_cid(data), data)


def write_tree(cid: str, blocks: dict[str, bytes], target: Path) -> None:
    """Files and folders from blocks alone, by the public functions, as a fetch does it."""
    node = parse_node(cid, blocks[cid])
    if node.kind == "folder":
        target.mkdir()
        for link in node.links:
            write_tree(link.cid, blocks, target / link.name)
    else:
        target.write_bytes(b"".join(file_bytes(cid, blocks)))


def file_bytes(cid: str, blocks: dict[str, bytes]) -> Iterator[bytes]:
    node = parse_node(cid, blocks[cid])
    if is_leaf(cid):
        yield blocks[cid]
    for link, size in zip(node.links, node.sizes, strict=True):
        below = b"".join(file_bytes(link.cid, blocks))
        assert len(below) == size
        yield below


def tree_of(path: Path) -> dict[str, bytes | None]:
    return {
        place.relative_to(path).as_posix(): place.read_bytes() if place.is_file() else None for place in path.rglob("*")
    }


def test_a_folder_comes_back_from_its_blocks(folder, tmp_path):
    blocks = list(blocks_of(folder))
    assert blocks[-1].cid == cid_of_path(folder)
    write_tree(blocks[-1].cid, dict(blocks), tmp_path / "again")
    assert tree_of(tmp_path / "again") == tree_of(folder)


def test_children_come_before_parents_and_every_block_fits_its_name(folder):
    seen = set()
    for cid, data in blocks_of(folder):
        check_block(cid, data)
        assert {link.cid for link in parse_node(cid, data).links} <= seen
        seen.add(cid)


@given(data=st.binary(max_size=300), chunk=st.integers(1, 9), width=st.integers(2, 5))
def test_files_of_any_depth_come_back(data, chunk, width, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "file-of-any-depth"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unixfs, "CHUNK_BYTES", chunk)
        patch.setattr(unixfs, "LINKS_PER_NODE", width)
        blocks = dict(blocks_of(path))
        cid = cid_of_path(path)
        assert cid == cid_of_bytes(data)
        assert b"".join(file_bytes(cid, blocks)) == data
        for name, block in blocks.items():
            assert sum(parse_node(name, block).sizes) <= len(data)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)
TREES = st.recursive(st.binary(max_size=20), lambda inner: st.dictionaries(NAMES, inner, max_size=5), max_leaves=12)


def write_names(tree: bytes | dict, path: Path) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
    else:
        path.mkdir()
        for name, inner in tree.items():
            write_names(inner, path / name)


@settings(deadline=None)
@given(tree=st.dictionaries(NAMES, TREES, max_size=6))
def test_folders_of_arbitrary_names_come_back(tree, tmp_path_factory):
    place = tmp_path_factory.mktemp("names")
    write_names(tree, place / "folder")
    blocks = list(blocks_of(place / "folder"))
    write_tree(blocks[-1].cid, dict(blocks), place / "again")
    assert tree_of(place / "again") == tree_of(place / "folder")
    assert cid_of_path(place / "again") == blocks[-1].cid


def test_a_long_file_passes_through_little_memory(tmp_path):
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(64 * MIB)
    tracemalloc.start()
    try:
        assert sum(len(block.data) for block in blocks_of(tmp_path / "long")) > 64 * MIB
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cid_of", [cid_of_bytes, node_cid])
def test_a_block_that_is_not_what_its_name_says_is_an_error_with_both_names(cid_of):
    check_block(cid_of(b"data"), b"data")
    with pytest.raises(CorruptContent) as caught:
        check_block(cid_of(b"data"), b"other")
    assert cid_of(b"data") in str(caught.value)
    assert cid_of(b"other") in str(caught.value)
    with pytest.raises(ContentError, match="is not a content identifier"):
        check_block("bafy", b"data")


def test_links_tell_names_and_sizes(folder):
    cid, data = list(blocks_of(folder / "b"))[-1]
    node = parse_node(cid, data)
    assert (node.kind, node.sizes) == ("folder", [])
    assert [link.name for link in node.links] == ["c", "long", "x"]
    long = dict(blocks_of(folder / "b" / "long"))
    assert [link.tree_bytes for link in node.links] == [4, sum(map(len, _with_repeats(long, node.links[1].cid))), 3]
    assert parse_node(node.links[1].cid, long[node.links[1].cid]).sizes == [MIB, MIB, MIB, 3]
    assert node.links[0].cid == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def _with_repeats(blocks: dict[str, bytes], cid: str) -> list[bytes]:
    """A tree's blocks, a block that occurs twice counted twice."""
    below = [block for link in parse_node(cid, blocks[cid]).links for block in _with_repeats(blocks, link.cid)]
    return [blocks[cid], *below]


def leaf(name: str = "", file_bytes: int = 0, cid: bytes = LEAF) -> TreeLink:
    return TreeLink(cid, name, file_bytes, file_bytes)


def field(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + varint(len(value)) + value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "node of unknown type"),
        (field(0x0A, b"\x08\x00"), "raw node in dag-pb"),
        (field(0x0A, b"\x08\x03"), "metadata"),
        (field(0x0A, b"\x08\x04" + field(0x12, b"/etc/passwd")), "symbolic link"),
        (field(0x0A, b"\x08\x05" + field(0x12, b"bits") + b"\x28\x22\x30\x80\x02"), "shard has 0 entries"),
        (field(0x0A, b"\x08\x02" + field(0x12, b"data") + b"\x18\x04"), "inline"),
        (encode_file([]), "0 links"),
        (encode_file([leaf(file_bytes=1)] * 1025), "1025 links"),
        (encode_file([leaf(file_bytes=5), leaf(file_bytes=5)]), "not cut into chunks of 1048576 bytes"),
        (encode_file([leaf(file_bytes=262144), leaf(file_bytes=5)]), "not cut into chunks"),
        (encode_file([leaf(file_bytes=MIB + 1)]), "not cut into chunks"),
        (encode_file([leaf(file_bytes=MIB), leaf(file_bytes=MIB + 1)]), "differ in size"),
        (encode_file([leaf(file_bytes=MIB), leaf(file_bytes=0)]), "differ in size"),
        (encode_file([leaf(file_bytes=MIB), leaf(file_bytes=5), leaf(file_bytes=MIB)]), "differ in size"),
        (encode_file([leaf(file_bytes=MIB), leaf(file_bytes=MIB, cid=INNER)]), "side by side"),
        (encode_file([leaf(file_bytes=MIB, cid=INNER), leaf(file_bytes=5, cid=INNER)]), "not cut into chunks"),
        (encode_file([leaf("name", MIB), leaf("", 5)]), "have names"),
        (encode_file([leaf(file_bytes=MIB), leaf(file_bytes=5)])[:-2], "sizes|truncated"),
        (
            encode_file([leaf(file_bytes=MIB), leaf(file_bytes=5)]) + b"\x00\x00",
            "encoding differs from that of the profile",
        ),
        (encode_file([TreeLink(b"\x12\x20" + bytes(32), "", 5, 5)]), "not a CIDv1"),
        (encode_folder([leaf("b"), leaf("a")]), "not sorted"),
        (encode_folder([leaf("a"), leaf("a")]), "occurs twice"),
        (encode_folder([leaf("..")]), "'..' cannot be the name"),
        (encode_folder([leaf("a/b")]), "cannot be the name"),
        (encode_folder([leaf("")]), "cannot be the name"),
        (encode_folder([leaf("a\0")]), "cannot be the name"),
        (encode_folder([leaf("ä" * 128)]), "cannot be the name"),
        (encode_folder([leaf(f"{number:0250d}") for number in range(887)]), "more than 262144"),
        (
            field(0x12, field(0x0A, LEAF) + field(0x12, b"\xff") + b"\x18\x00") + field(0x0A, b"\x08\x01"),
            "not a dag-pb",
        ),
        (field(0x12, field(0x0A, LEAF) + b"\x18\x00") + field(0x0A, b"\x08\x01"), "lacks its CID, name or size"),
        (field(0x0A, b"\x08\x01\x20\x05"), "gives sizes"),
        (field(0x0A, b"\x08\x81\x00"), "encoding differs from that of the profile"),
        (field(0x0A, b"\x08\x01\x38\xed\x03"), "encoding differs from that of the profile"),  # with a mode
        (field(0x0A, b"\x08\x01") + field(0x12, field(0x0A, LEAF)), "lacks its CID, name or size"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "field 1 is truncated"),
        (b"\x0a" + b"\xff" * 20, "more than 9 bytes"),
        (b"\x0d\x00\x00\x00\x00", "wire type 5"),
        (bytes(LARGEST_BLOCK + 1), "more than 2097152"),
    ],
)
def test_what_the_profile_does_not_write_is_refused_with_the_reason(data, why):
    with pytest.raises(ContentError, match=why) as caught:
        parsed(data)
    assert node_cid(data) in str(caught.value)


def test_a_leaf_longer_than_a_chunk_is_refused():
    with pytest.raises(ContentError, match="its leaf has 1048577 bytes"):
        parse_node(cid_text(RAW_PREFIX + bytes(32)), bytes(MIB + 1))


GOOD = encode_folder([leaf("a", 5), leaf("b", 1)]), encode_file([leaf("", MIB), leaf("", 5)])


@given(data=st.binary(max_size=400))
@example(b"\x12" * 400)
@example(b"\x0a\x00" * 200)
def test_arbitrary_bytes_are_read_or_refused(data):
    try:
        node = parsed(data)
    except ContentError:
        return
    assert node.kind in ("file", "folder", "shard")


@given(good=st.sampled_from(GOOD), start=st.integers(0, 120), length=st.integers(0, 4), other=st.binary(max_size=6))
def test_a_node_changed_anywhere_is_refused_or_reads_as_another_node(good, start, length, other):
    data = good[:start] + other + good[start + length :]
    try:
        node = parsed(data)
    except ContentError:
        return
    assert data == good or node != parsed(good)


@pytest.mark.kubo
def test_the_blocks_are_those_that_kubo_holds(ipfs, folder):
    ipfs("add", "-r", "--hidden", folder)
    for cid, data in blocks_of(folder):
        assert ipfs("block", "get", cid) == data


@pytest.mark.kubo
def test_what_kubo_writes_with_other_settings_is_refused_by_name(ipfs, folder, tmp_path):
    (folder / "link").symlink_to("z")
    (tmp_path / "long").write_bytes(bytes(2 * MIB))
    for arguments, why in [
        (["--raw-leaves=false", folder / "z"], "holds file bytes inline"),
        (["--chunker=size-262144", tmp_path / "long"], "not cut into chunks"),
        (["--preserve-mode", "--raw-leaves=false", folder / "z"], "holds file bytes inline"),
        (["--dereference-args=false", folder / "link"], "symbolic link"),
    ]:
        cid = ipfs("add", "-Q", *arguments).decode().strip()
        with pytest.raises(ContentError, match=why):
            parse_node(cid, ipfs("block", "get", cid))
