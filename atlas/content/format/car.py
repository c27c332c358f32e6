"""CARv1 archives: several files or folders in one stream of blocks. https://ipld.io/specs/transport/car/carv1/."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from atlas.content.format.cid import cid_bytes, cid_of_path, cid_text, is_cid
from atlas.content.format.dag import LARGEST_BLOCK, Block, blocks_of, check_block
from atlas.content.format.protobuf import LONGEST_VARINT, varint
from atlas.errors import ContentError
from atlas.ids import Cid

CID_BYTES = 36
LARGEST_HEADER = 2 << 20
"""In bytes; enough for about 50,000 roots."""

# The header in dag-cbor is {"roots": [CID, …], "version": 1}; a CID is tag 42 over a byte string that starts with 0.
_ROOTS = b"\xa2\x65roots"
_ROOT = b"\xd8\x2a\x58\x25\x00"
_VERSION = b"\x67version\x01"


def car_chunks(paths: Sequence[Path]) -> Iterator[bytes]:
    """A CAR of several files or folders, with its roots in the order of `paths`. Holds one block in memory at a time.

    Every path is read twice, because the roots come first in the stream. Raises `ContentError` when a file changes
    between the reads, and as `blocks_of` does.
    """
    roots = [cid_of_path(path) for path in paths]
    header = _encode_header(roots)
    yield varint(len(header)) + header
    for path, root in zip(paths, roots, strict=True):
        cid = ""
        for cid, data in blocks_of(path):
            yield varint(CID_BYTES + len(data)) + cid_bytes(cid) + data
        if cid != root:
            raise ContentError(
                f"{path} changed while it was read: it was {root} and is {cid} now. Wait until it is completely "
                "written, then try again."
            )


def read_car(stream: BinaryIO) -> Iterator[Block]:
    """The blocks of a CAR, each checked against its CID; holds one block at a time.

    Raises `ContentError` when the archive is malformed, truncated within a block, or holds blocks that are not files or
    folders; `CorruptContent` for a block that does not match its CID. A CAR has no end marker, so the caller must check
    that it received all blocks under the root.
    """
    length = _read_length(stream)
    if length is None:
        raise ContentError("The CAR is empty. Fetch it again, or from another place.")
    if length > LARGEST_HEADER:
        raise _malformed(f"its header has {length} bytes, more than {LARGEST_HEADER}")
    _check_header(_read_exactly(stream, length))
    while (length := _read_length(stream)) is not None:
        if not CID_BYTES <= length <= CID_BYTES + LARGEST_BLOCK:
            raise _malformed(f"a section has {length} bytes, expected {CID_BYTES} to {CID_BYTES + LARGEST_BLOCK}")
        cid = _read_exactly(stream, CID_BYTES)
        if not is_cid(cid):
            raise _malformed("a block's name is not a CIDv1 of SHA-256, raw or dag-pb")
        block = Block(cid_text(cid), _read_exactly(stream, length - CID_BYTES))
        check_block(*block)
        yield block


def _encode_header(roots: list[Cid]) -> bytes:
    return _ROOTS + _array_head(len(roots)) + b"".join(_ROOT + cid_bytes(root) for root in roots) + _VERSION


def _array_head(length: int) -> bytes:
    """The head of a CBOR array in its shortest form."""
    if length < 24:
        return bytes([0x80 | length])
    size = 1 if length < 1 << 8 else 2 if length < 1 << 16 else 4
    return bytes([0x98 + size // 2]) + length.to_bytes(size, "big")


def _check_header(header: bytes) -> None:
    if header.startswith(_ROOTS) and header.endswith(_VERSION):
        body = header[len(_ROOTS) : -len(_VERSION)]
        count = len(body) // (len(_ROOT) + CID_BYTES)
        head = _array_head(count)
        step = len(_ROOT) + CID_BYTES
        starts = range(len(head), len(body), step)
        if (
            body.startswith(head)
            and len(body) == len(head) + count * step
            and all(
                body.startswith(_ROOT, start) and is_cid(body[start + len(_ROOT) : start + step]) for start in starts
            )
        ):
            return
    raise _malformed("its header is not {roots: […], version: 1} with roots that are CIDv1 of SHA-256")


def _read_length(stream: BinaryIO) -> int | None:
    """The length of the next section; None at the end of the stream."""
    length = 0
    for index in range(LONGEST_VARINT):
        byte = stream.read(1)
        if not byte:
            if index == 0:
                return None
            raise _malformed("it is truncated")
        length |= (byte[0] & 0x7F) << (7 * index)
        if byte[0] < 0x80:
            return length
    raise _malformed(f"a length has more than {LONGEST_VARINT} bytes")


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise _malformed(f"it is truncated: {count} bytes of a section are missing")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _malformed(why: str) -> ContentError:
    return ContentError(f"This is not a complete CAR file of version 1: {why}. Fetch it again, or from another place.")
