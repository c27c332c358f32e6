"""CAR archives: ours are read by Kubo, Kubo's by us, and no archive from elsewhere is believed."""

import hashlib
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.car import car_chunks, read_car
from atlas.content.format.cid import cid_of_bytes, cid_of_path
from atlas.content.format.dag import Block, blocks_of
from atlas.content.format.protobuf import varint
from atlas.errors import ContentError, CorruptContent

MIB = 1 << 20


@pytest.fixture
def archive(folder) -> bytes:
    return b"".join(car_chunks([folder]))


class OneByteAtATime(io.BytesIO):
    """A stream that gives what a slow connection gives."""

    def read(self, count=-1):
        return super().read(min(count, 1) if count >= 0 else 1)


def section(cid: bytes, data: bytes) -> bytes:
    return varint(len(cid) + len(data)) + cid + data


def test_what_goes_in_comes_out_in_order(folder, archive):
    assert list(read_car(io.BytesIO(archive))) == list(blocks_of(folder))


def test_several_files_share_one_archive(folder):
    paths = [folder / "b" / "x", folder / "z", folder / "b", folder / "b0"]
    blocks = list(read_car(io.BytesIO(b"".join(car_chunks(paths)))))
    assert blocks == [block for path in paths for block in blocks_of(path)]


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 300])
def test_any_number_of_roots_fits_the_header(count, tmp_path):
    (tmp_path / "file").write_bytes(b"same")
    archive = b"".join(car_chunks([tmp_path / "file"] * count))
    assert list(read_car(io.BytesIO(archive))) == [Block(cid_of_bytes(b"same"), b"same")] * count


def test_the_bytes_of_a_small_archive(tmp_path):
    """Written out by hand from the specification."""
    (tmp_path / "file").write_bytes(b"hello world")
    cid = "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    header = "a2" + "65726f6f7473" + "81" + "d82a" + "5825" + "00" + cid + "6776657273696f6e" + "01"
    section = f"{36 + 11:02x}" + cid + b"hello world".hex()
    assert b"".join(car_chunks([tmp_path / "file"])).hex() == "3a" + header + section


def test_a_file_that_changes_while_it_is_archived_is_named(tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"before")
    chunks = car_chunks([path])
    next(chunks)
    path.write_bytes(b"after")
    with pytest.raises(ContentError, match=r"growing changed while it was read"):
        list(chunks)


@given(contents=st.lists(st.binary(max_size=50), max_size=5))
def test_archives_of_any_files_come_back(contents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("car")
    paths = []
    for number, data in enumerate(contents):
        paths.append(folder / str(number))
        paths[-1].write_bytes(data)
    stream = OneByteAtATime(b"".join(car_chunks(paths)))
    assert [block.data for block in read_car(stream)] == contents


def test_an_archive_cut_anywhere_but_between_blocks_is_refused(folder):
    paths = [folder / "z", folder / "b" / "x", folder / "b0"]
    archive = b"".join(car_chunks(paths))
    blocks = list(read_car(io.BytesIO(archive)))
    starts, position = set(), len(archive)
    for block in reversed(blocks):
        starts.add(position)
        position -= len(section(bytes(36), block.data))
    starts.add(position)
    for end in range(len(archive) + 1):
        stream = io.BytesIO(archive[:end])
        if end in starts:
            assert list(read_car(stream)) == blocks[: len(starts) - 1 - sum(start > end for start in starts)]
        else:
            with pytest.raises(ContentError, match=r"truncated|is empty"):
                list(read_car(stream))


def test_a_changed_block_is_named(folder, archive):
    data = bytearray(archive)
    data[-1] ^= 1
    with pytest.raises(CorruptContent, match=cid_of_path(folder)):
        list(read_car(io.BytesIO(bytes(data))))


def header_of(archive: bytes) -> bytes:
    return archive[: 1 + archive[0]]


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"\xff" * 20, "more than 9 bytes"),
        (varint(1 << 60), r"expected 36 to 2097188"),
        (varint(2 * MIB + 37), r"expected 36 to"),
        (varint(35) + bytes(35), r"expected 36 to"),
        (varint(0), r"expected 36 to"),
        (section(b"\x01\x71\x12\x20" + bytes(32), b""), "not a CIDv1"),
        (section(b"\x12\x20" + bytes(34), b""), "not a CIDv1"),
    ],
)
def test_a_section_that_is_none_is_refused(archive, tail, why):
    with pytest.raises(ContentError, match=why):
        list(read_car(io.BytesIO(header_of(archive) + tail)))


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "is empty"),
        (varint(3 * MIB), "more than 2097152"),
        (b"\x01", "truncated"),
        (b"\x00", "its header is not"),
        (bytes.fromhex("0aa16776657273696f6e02"), "its header is not"),  # how a CARv2 begins
        (bytes.fromhex("11a265726f6f7473806776657273696f6e02"), "its header is not"),
        (bytes.fromhex("12a265726f6f747398006776657273696f6e01"), "its header is not"),  # a length written too long
    ],
)
def test_a_header_that_is_none_is_refused(header, why):
    with pytest.raises(ContentError, match=why):
        list(read_car(io.BytesIO(header)))


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(ContentError):
        list(read_car(io.BytesIO(data)))


@given(start=st.integers(0, 300), length=st.integers(0, 3), other=st.binary(max_size=4))
def test_an_archive_changed_anywhere_gives_only_blocks_that_fit_their_names(start, length, other, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "archived"
    path.write_bytes(b"content " * 20)
    archive = b"".join(car_chunks([path, path]))
    changed = archive[:start] + other + archive[start + length :]
    try:
        blocks = list(read_car(io.BytesIO(changed)))
    except ContentError:
        return
    for cid, data in blocks:
        assert cid_of_bytes(data) == cid


def test_a_length_that_lies_costs_no_memory(archive):
    stream = io.BytesIO(header_of(archive) + varint(2 * MIB) + b"\x01\x55\x12\x20" + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(ContentError, match="truncated"):
            list(read_car(stream))
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()


def test_archives_are_streamed(tmp_path):
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(48 * MIB)
    tracemalloc.start()
    try:
        total = sum(len(chunk) for chunk in car_chunks([tmp_path / "long"]))
        assert total > 48 * MIB
        assert tracemalloc.get_traced_memory()[1] < 6 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.kubo
def test_kubo_imports_our_archives(ipfs, folder, tmp_path):
    (folder / "b" / "own").write_bytes(hashlib.shake_128(b"import").digest(3 * MIB))
    paths = [folder, folder / "b" / "own"]
    (tmp_path / "ours.car").write_bytes(b"".join(car_chunks(paths)))
    printed = ipfs("dag", "import", tmp_path / "ours.car").decode()
    for path in paths:
        assert cid_of_path(path) in printed
    assert ipfs("cat", f"{cid_of_path(folder)}/b/own") == (folder / "b" / "own").read_bytes()


@pytest.mark.kubo
def test_kubo_s_archives_are_read(ipfs, folder):
    root = ipfs("add", "-rQ", "--hidden", folder).decode().strip()
    blocks = dict(read_car(io.BytesIO(ipfs("dag", "export", root))))
    assert blocks == dict(blocks_of(folder))
