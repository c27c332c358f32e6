"""CIDs: Kubo's own vectors, an independent encoder, and refusal of malformed text."""

import base64
import hashlib
import io
from collections.abc import Iterator

import pytest
from aleph_cid import CidHasher
from Crypto.Cipher import ChaCha20
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from atlas.content import cid as cid_module
from atlas.content.cid import cid_of_bytes, cid_of_chunks, cid_of_file, parse_cid, read_chunks
from atlas.errors import ContentError

MIB = 1 << 20
EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
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
        patch.setattr(cid_module, "CHUNK_BYTES", chunk)
        patch.setattr(cid_module, "LINKS_PER_NODE", width)
        assert cid_of_bytes(data) == reference_cid(data, chunk, width)


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 174 * 262_144, 174 * 262_144 + 1])
def test_with_the_older_profile_s_numbers_it_equals_another_library(size, monkeypatch):
    monkeypatch.setattr(cid_module, "CHUNK_BYTES", 262_144)
    monkeypatch.setattr(cid_module, "LINKS_PER_NODE", 174)
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
        patch.setattr(cid_module, "CHUNK_BYTES", chunk)
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
