"""Content identifiers: the CIDv1 that `ipfs add` of Kubo gives with its `unixfs-v1-2025` profile.

A file is cut into chunks of 1 MiB; each chunk is a raw leaf named by SHA-256. A file of one chunk (or none) is its
leaf. Longer files are a balanced tree of at most 1024 links a node, whose inner nodes are UnixFS files in dag-pb:
https://specs.ipfs.tech/unixfs/ and https://ipld.io/specs/codecs/dag-pb/spec/.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import NamedTuple

from atlas.errors import ContentError

CHUNK_BYTES = 1 << 20
LINKS_PER_NODE = 1024

RAW_PREFIX = b"\x01\x55\x12\x20"  # CIDv1, raw, sha2-256, 32 bytes
DAG_PB_PREFIX = b"\x01\x70\x12\x20"  # CIDv1, dag-pb, sha2-256, 32 bytes


class _Link(NamedTuple):
    """A node as its parent sees it."""

    cid: bytes
    file_bytes: int
    tree_bytes: int


def cid_of_bytes(data: bytes) -> str:
    """The CID of bytes held in memory."""
    return cid_of_chunks(cut_bytes(data))


def cid_of_file(path: Path) -> str:
    """The CID of a file, read once in constant memory; raises `OSError` when it cannot be read."""
    with path.open("rb", buffering=0) as stream:
        return cid_of_chunks(read_chunks(stream))


def cut_bytes(data: bytes) -> Iterator[memoryview]:
    """Cut bytes into chunks of 1 MiB, the last one shorter, without a copy."""
    view = memoryview(data)
    return (view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES))


def read_chunks(stream: RawIOBase) -> Iterator[memoryview]:
    """Cut a stream into chunks of 1 MiB, the last one shorter.

    Every chunk lies in one buffer that the next chunk overwrites.
    """
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while True:
        filled = 0
        while filled < CHUNK_BYTES and (count := stream.readinto(buffer[filled:])):
            filled += count
        if filled:
            yield buffer[:filled]
        if filled < CHUNK_BYTES:
            return


def cid_of_chunks(chunks: Iterable[bytes | memoryview]) -> str:
    """The CID of a file given as its chunks, all of 1 MiB but the last; holds at most 1024 links of each level."""
    levels: list[list[_Link]] = [[]]
    for chunk in chunks:
        _append(levels, 0, _leaf(chunk))
    height = 0
    while height + 1 < len(levels) or len(levels[height]) > 1:
        _append(levels, height + 1, _node(levels[height]))
        height += 1
    root = levels[height][0] if levels[height] else _leaf(b"")
    return _text(root.cid)


def parse_cid(text: str) -> str:
    """Return `text` if it is a CID that this store can hold; raises `ContentError` that says what is wrong with it."""
    try:
        raw = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
        well_formed = len(raw) == 36 and raw[:4] in (RAW_PREFIX, DAG_PB_PREFIX) and _text(raw) == text
    except (binascii.Error, ValueError):
        well_formed = False
    if not well_formed:
        raise ContentError(
            f"{text!r} is not a content identifier. Expected a CIDv1 in base32 (59 characters, bafkrei… or bafybei…), "
            "as `ipfs add --cid-version=1` prints it."
        )
    return text


def _append(levels: list[list[_Link]], height: int, link: _Link) -> None:
    """Add a link to its level; a level that was full becomes one node of the level above."""
    if height == len(levels):
        levels.append([])
    if len(levels[height]) == LINKS_PER_NODE:
        _append(levels, height + 1, _node(levels[height]))
        levels[height] = []
    levels[height].append(link)


def _leaf(chunk: bytes | memoryview) -> _Link:
    return _Link(RAW_PREFIX + hashlib.sha256(chunk).digest(), len(chunk), len(chunk))


def _node(links: list[_Link]) -> _Link:
    """A UnixFS file node over its children: dag-pb writes the links before the data."""
    file_bytes = sum(link.file_bytes for link in links)
    unixfs = (
        b"\x08\x02" + b"\x18" + _varint(file_bytes) + b"".join(b"\x20" + _varint(link.file_bytes) for link in links)
    )
    block = b"".join(_field(0x12, _encode_link(link)) for link in links) + _field(0x0A, unixfs)
    tree_bytes = len(block) + sum(link.tree_bytes for link in links)
    return _Link(DAG_PB_PREFIX + hashlib.sha256(block).digest(), file_bytes, tree_bytes)


def _encode_link(link: _Link) -> bytes:
    return _field(0x0A, link.cid) + _field(0x12, b"") + b"\x18" + _varint(link.tree_bytes)


def _field(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    """Unsigned LEB128, as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(cid: bytes) -> str:
    """Multibase base32: lower case, no padding."""
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()
