"""CIDs of files and folders: Kubo's own vectors and answers, an independent encoder, and refusal of what has none."""

import base64
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from aleph_cid import CidHasher
from Crypto.Cipher import ChaCha20
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format import unixfs
from atlas.content.format.cid import cid_of_bytes, cid_of_chunks, cid_of_file, cid_of_folder, cid_of_path, parse_cid
from atlas.content.format.unixfs import read_chunks
from atlas.errors import ContentError

MIB = 1 << 20
EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
EMPTY_FOLDER = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


def kubo_random_chunks(size: int, seed: str) -> Iterator[bytes]:
    """The deterministic bytes of Kubo's own CID tests: a ChaCha20 key stream, zero nonce, key SHA-256 of the seed."""
    cipher = ChaCha20.new(key=hashlib.sha256(seed.encode()).digest(), nonce=bytes(12))
    for start in range(0, size, MIB):
        yield cipher.encrypt(bytes(min(MIB, size - start)))


def test_an_empty_file_is_the_empty_raw_block():
    assert cid_of_bytes(b"") == EMPTY


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (MIB, "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta"),
        (MIB + 1, "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64"),
    ],
)
def test_kubo_vectors_around_one_chunk(size, expected):
    data = b"".join(kubo_random_chunks(size, "chunk-v1-seed"))
    assert cid_of_bytes(data) == expected
    assert cid_of_bytes(b"hello world") == HELLO


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1024 * MIB, "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"),
        (1024 * MIB + 1, "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe"),
        (1025 * MIB, "bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue"),
    ],
)
def test_kubo_vectors_around_one_full_node(size, expected):
    assert cid_of_chunks(kubo_random_chunks(size, "v1-2025-seed")) == expected


def test_the_root_of_ten_chunks_is_the_509_bytes_that_kubo_writes(monkeypatch):
    hashed: list[int] = []
    sha256 = hashlib.sha256

    def spy(data):
        hashed.append(len(data))
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", spy)
    cid_of_bytes(bytes(10 * MIB))
    assert hashed == [MIB] * 10 + [509]


def _messages():
    """dag-pb and UnixFS as protobuf messages, from their published schemas: a second encoder."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="unixfs_test.proto", package="unixfs_test", syntax="proto2")

    def message(name, *fields):
        kind = file.message_type.add(name=name)
        for field, number, type_, label, type_name in fields:
            kind.field.add(name=field, number=number, type=type_, label=label, type_name=type_name)

    one, many = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED
    message(
        "PBLink",
        ("Hash", 1, kinds.TYPE_BYTES, one, None),
        ("Name", 2, kinds.TYPE_STRING, one, None),
        ("Tsize", 3, kinds.TYPE_UINT64, one, None),
    )
    message("Links", ("Links", 2, kinds.TYPE_MESSAGE, many, ".unixfs_test.PBLink"))
    message("Body", ("Data", 1, kinds.TYPE_BYTES, one, None))
    message(
        "Data",
        ("Type", 1, kinds.TYPE_UINT64, one, None),
        ("filesize", 3, kinds.TYPE_UINT64, one, None),
        ("blocksizes", 4, kinds.TYPE_UINT64, many, None),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"unixfs_test.{name}"))
        for name in ("PBLink", "Links", "Body", "Data")
    }


MESSAGES = _messages()


def reference_cid(data: bytes, chunk: int, width: int) -> str:
    """The balanced tree built level by level in memory, encoded by protobuf."""
    leaves = [data[start : start + chunk] for start in range(0, len(data), chunk)] or [b""]
    nodes = [(b"\x01\x55\x12\x20" + hashlib.sha256(leaf).digest(), len(leaf), len(leaf)) for leaf in leaves]
    while len(nodes) > 1:
        nodes = [_reference_node(nodes[start : start + width]) for start in range(0, len(nodes), width)]
    return "b" + base64.b32encode(nodes[0][0]).decode().lower().rstrip("=")


def _reference_node(children):
    links = [MESSAGES["PBLink"](Hash=cid, Name="", Tsize=tree) for cid, _, tree in children]
    sizes = [size for _, size, _ in children]
    unixfs = MESSAGES["Data"](Type=2, filesize=sum(sizes), blocksizes=sizes).SerializeToString()
    block = MESSAGES["Links"](Links=links).SerializeToString() + MESSAGES["Body"](Data=unixfs).SerializeToString()
    tree = len(block) + sum(tree for _, _, tree in children)
    return b"\x01\x70\x12\x20" + hashlib.sha256(block).digest(), sum(sizes), tree


@given(data=st.binary(max_size=400), chunk=st.integers(1, 9), width=st.integers(2, 5))
def test_trees_of_any_depth_equal_an_independent_encoder(data, chunk, width):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unixfs, "CHUNK_BYTES", chunk)
        patch.setattr(unixfs, "LINKS_PER_NODE", width)
        assert cid_of_bytes(data) == reference_cid(data, chunk, width)


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 174 * 262_144, 174 * 262_144 + 1])
def test_with_the_older_profile_s_numbers_it_equals_another_library(size, monkeypatch):
    monkeypatch.setattr(unixfs, "CHUNK_BYTES", 262_144)
    monkeypatch.setattr(unixfs, "LINKS_PER_NODE", 174)
    data = hashlib.shake_128(b"older profile").digest(size)
    hasher = CidHasher.for_ipfs_v1_raw_leaves()
    hasher.update(data)
    assert cid_of_bytes(data) == hasher.finalize()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
def test_a_file_has_the_cid_of_its_bytes(size, tmp_path):
    data = hashlib.shake_128(b"file").digest(size)
    (tmp_path / "file").write_bytes(data)
    assert cid_of_file(tmp_path / "file") == cid_of_bytes(data)


class Dribble(io.RawIOBase):
    """A stream that gives what a slow pipe gives: fewer bytes than were asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data, self.most = data, most

    def readinto(self, buffer):
        piece, self.data = self.data[: min(self.most, len(buffer))], self.data[min(self.most, len(buffer)) :]
        buffer[: len(piece)] = piece
        return len(piece)


@given(data=st.binary(max_size=200), most=st.integers(1, 50), chunk=st.integers(1, 40))
def test_how_a_stream_arrives_does_not_matter(data, most, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unixfs, "CHUNK_BYTES", chunk)
        assert cid_of_chunks(read_chunks(Dribble(data, most))) == cid_of_bytes(data)


@given(data=st.binary(max_size=300))
def test_every_cid_parses_and_other_bytes_have_another(data):
    cid = cid_of_bytes(data)
    assert parse_cid(cid) == cid
    assert cid_of_bytes(data + b"\0") != cid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "hello",
        HELLO.upper(),
        HELLO[:-1],
        HELLO + "a",
        HELLO[:-1] + "f",  # same bytes, but spare bits set: a second name for one content
        "z" + HELLO[1:],
        "../../etc/passwd",
        HELLO + "/x",
        "b" + "é" * 58,
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
        "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",  # dag-cbor
    ],
)
def test_malformed_text_is_refused_by_name(text):
    with pytest.raises(ContentError, match="is not a content identifier") as caught:
        parse_cid(text)
    assert repr(text) in str(caught.value)


def test_folders_have_the_cids_that_ipfs_add_printed(folder):
    """`ipfs add -r --hidden` of Kubo v0.42.0 with the profile unixfs-v1-2025."""
    assert cid_of_folder(folder / "empty") == EMPTY_FOLDER
    assert cid_of_folder(folder / "b") == "bafybeigtv2ql2tr4lxikfs5whjxsmsxpe43su77znz7sqyvj2b2vrzuoye"
    assert cid_of_folder(folder) == "bafybeihk37z7ojybj73qqofdi2qzdf6dlxxyr5ajyqiqxcuzjuo2qkkxey"
    assert cid_of_path(folder) == cid_of_folder(folder)
    assert cid_of_path(folder / "b0") == EMPTY


def test_a_folder_of_4000_files_is_still_one_block(tmp_path):
    for number in range(4000):
        (tmp_path / f"{number}.txt").write_text(f"{number}\n")
    assert cid_of_folder(tmp_path) == "bafybeigt76esot672dbzuiegy67vczxjx25xg2s4x5pqvnsdatycmyrd7y"


def folder_of_empty_files(path: Path, last: int) -> Path:
    """885 names of 250 bytes and one of `last` bytes: a directory block of 262,010 + `last` bytes above 127."""
    path.mkdir()
    for name in [f"{number:0250d}" for number in range(885)] + ["z" * last]:
        (path / name).touch()
    return path


def test_a_folder_is_one_block_up_to_256_kib_and_a_hamt_above(tmp_path):
    """`ipfs add -r` of Kubo v0.42.0 with the profile unixfs-v1-2025."""
    one_block = "bafybeiefgjrukuo5ivbz66zugfgwqco7hsggwwosytv5srz5pppm4gjvui"
    assert cid_of_folder(folder_of_empty_files(tmp_path / "most", 134)) == one_block
    hamt = "bafybeib37ryp6ksxzlfgp5eqg2l4yafdk6ew25doxad4btkhx4bqumkps4"
    assert cid_of_folder(folder_of_empty_files(tmp_path / "more", 135)) == hamt


def test_a_folder_is_not_named_by_when_or_in_what_order_it_was_written(folder, tmp_path):
    copy = tmp_path / "copy"
    for path in sorted(folder.rglob("*"), reverse=True):
        target = copy / path.relative_to(folder)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            os.utime(target, (1, 1))
    assert cid_of_folder(copy) == cid_of_folder(folder)
    (copy / "z").rename(copy / "y")
    assert cid_of_folder(copy) != cid_of_folder(folder)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "neither a file nor a folder"),
        (lambda path: path.symlink_to("."), "neither a file nor a folder"),
        (os.mkfifo, "neither a file nor a folder"),
        (lambda path: Path(os.fsdecode(os.fsencode(path) + b"\xff")).touch(), "not UTF-8"),
        (lambda path: path.joinpath(*["deep"] * 70).mkdir(parents=True), "more than 64 folders deep"),
    ],
)
def test_what_a_folder_cannot_hold_is_named(folder, make, what):
    make(folder / "b" / "odd")
    with pytest.raises(ContentError, match=what) as caught:
        cid_of_folder(folder)
    assert f"{folder}/b/odd" in str(caught.value)


def test_a_file_is_no_folder(folder):
    with pytest.raises(ContentError, match="is not a folder"):
        cid_of_folder(folder / "z")


def added(ipfs, path: Path) -> str:
    return ipfs("add", "-rQ", "--hidden", "--only-hash", path).decode().strip()


@pytest.mark.kubo
@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 10 * MIB + 7])
def test_ipfs_add_prints_the_same_for_files(ipfs, tmp_path, size):
    (tmp_path / "file").write_bytes(hashlib.shake_128(b"kubo").digest(size))
    assert cid_of_path(tmp_path / "file") == added(ipfs, tmp_path / "file")


@pytest.mark.kubo
@pytest.mark.slow
@pytest.mark.parametrize("size", [1024 * MIB, 1024 * MIB + 1, 3 * 1024 * MIB])
def test_ipfs_add_prints_the_same_for_very_long_files(ipfs, tmp_path, size):
    with (tmp_path / "file").open("wb") as stream:
        stream.truncate(size)
    assert cid_of_path(tmp_path / "file") == added(ipfs, tmp_path / "file")


@pytest.mark.kubo
def test_ipfs_add_prints_the_same_for_folders(ipfs, folder, tmp_path):
    for path in (folder, folder / "b", folder / "empty"):
        assert cid_of_path(path) == added(ipfs, path)


@pytest.mark.kubo
@pytest.mark.parametrize(("last", "hamt"), [(133, False), (134, False), (135, True), (136, True)])
def test_kubo_makes_a_hamt_of_the_same_folders(ipfs, tmp_path, last, hamt):
    path = folder_of_empty_files(tmp_path / "folder", last)
    cid = ipfs("add", "-rQ", path).decode().strip()
    assert cid == cid_of_folder(path)
    assert (b'"Data":{"/":{"bytes":"CAUS' in ipfs("dag", "get", cid)) == hamt, "UnixFS type 5 with a bitfield"


@pytest.mark.kubo
@pytest.mark.parametrize("last", [131, 132, 133, 134])
def test_what_is_in_a_folder_may_make_the_folder_above_a_hamt(ipfs, tmp_path, last):
    """The size of the last entry, which `ipfs add` fills when the folder is there already, takes two bytes more."""
    path = folder_of_empty_files(tmp_path / "folder", last)
    (path / ("z" * last)).unlink()
    (path / ("z" * last)).mkdir()
    (path / ("z" * last) / "large").write_bytes(bytes(300_000))
    assert cid_of_folder(path) == added(ipfs, path)
