"""How Kubo's `unixfs-v1-2025` profile lays out files and folders as blocks: what gives a content its CID.

A file is cut into chunks of 1 MiB; each chunk is a raw leaf named by SHA-256. A file of one chunk (or none) is its
leaf. Longer files are a balanced tree of at most 1024 links a node, whose inner nodes are UnixFS files in dag-pb. A
folder is one UnixFS directory in dag-pb, its links sorted by name. A folder too large for one node is refused: Kubo
would spread it over a HAMT.

https://specs.ipfs.tech/unixfs/, https://ipld.io/specs/codecs/dag-pb/spec/, https://github.com/ipfs/specs (IPIP-499)
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from io import RawIOBase
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from atlas.errors import ContentError

CHUNK_BYTES = 1 << 20
LINKS_PER_NODE = 1024
FOLDER_NODE_BYTES = 256 << 10
"""The largest directory block; Kubo makes a HAMT of more."""
DEEPEST_FOLDER = 64
"""Folders within folders that are followed, here and when a tree is fetched."""

RAW_PREFIX = b"\x01\x55\x12\x20"  # CIDv1, raw, sha2-256, 32 bytes
DAG_PB_PREFIX = b"\x01\x70\x12\x20"  # CIDv1, dag-pb, sha2-256, 32 bytes

Chunk = bytes | memoryview


class Node(NamedTuple):
    """A block of a tree, and what the node above it says of it."""

    cid: bytes
    data: Chunk
    """Valid until the next node is asked for: a leaf may lie in a buffer that is used again."""
    file_bytes: int
    tree_bytes: int


class TreeLink(NamedTuple):
    """A link as dag-pb and UnixFS write it; `file_bytes` counts in files only."""

    cid: bytes
    name: str
    file_bytes: int
    tree_bytes: int


def cut_bytes(data: bytes) -> Iterator[memoryview]:
    """Cut bytes into chunks of 1 MiB, the last one shorter, without a copy."""
    view = memoryview(data)
    return (view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES))


def read_chunks(stream: RawIOBase, buffers: int = 1) -> Iterator[memoryview]:
    """Cut a stream into chunks of 1 MiB, the last one shorter.

    Chunks lie in as many buffers as are asked for, in turn: each is overwritten when its buffer's turn comes again.
    """
    turns = cycle([memoryview(bytearray(CHUNK_BYTES)) for _ in range(buffers)])
    for buffer in turns:
        filled = 0
        while filled < CHUNK_BYTES and (count := stream.readinto(buffer[filled:])):
            filled += count
        if filled:
            yield buffer[:filled]
        if filled < CHUNK_BYTES:
            return


def chunks_of_file(path: Path) -> Iterator[memoryview]:
    """Cut a file into chunks as `read_chunks` does."""
    with path.open("rb", buffering=0) as stream:
        yield from read_chunks(stream)


def nodes_of_chunks(chunks: Iterable[Chunk]) -> Iterator[Node]:
    """The blocks of a file given as its chunks: children before parents, the root last."""
    levels: list[list[TreeLink]] = [[]]
    for chunk in chunks:
        yield from _append(levels, 0, _leaf(chunk))
    if not levels[0]:
        yield _leaf(b"")
        return
    height = 0
    while height + 1 < len(levels) or len(levels[height]) > 1:
        yield from _append(levels, height + 1, _file_node(levels[height]))
        height += 1


def nodes_of_path(
    path: Path, chunks_of: Callable[[Path], Iterable[Chunk]] = chunks_of_file, depth: int = 0
) -> Iterator[tuple[Path, Node]]:
    """The blocks of a file or folder, each with the path it belongs to: children before parents, the root last.

    `chunks_of` reads a file. Raises as `cid_of_folder` does.
    """
    if not path.is_dir():
        yield from ((path, node) for node in nodes_of_chunks(chunks_of(path)))
        return
    if depth > DEEPEST_FOLDER:
        raise ContentError(f"{path} lies more than {DEEPEST_FOLDER} folders deep. Pack it flatter.")
    links = []
    for name in _names_in(path):
        for place, node in nodes_of_path(path / name, chunks_of, depth + 1):
            yield place, node
        links.append(TreeLink(node.cid, name, node.file_bytes, node.tree_bytes))
    node = _dag_pb_node(encode_folder(links), links)
    if len(node.data) > FOLDER_NODE_BYTES:
        raise _too_large(path)
    yield path, node


def encode_file(links: list[TreeLink]) -> bytes:
    """The block of a UnixFS file node over its children: dag-pb writes the links before the data."""
    file_bytes = sum(link.file_bytes for link in links)
    unixfs = b"\x08\x02\x18" + varint(file_bytes) + b"".join(b"\x20" + varint(link.file_bytes) for link in links)
    return _encode_links(links) + _field(0x0A, unixfs)


def encode_folder(links: list[TreeLink]) -> bytes:
    """The block of a UnixFS directory, its links sorted by name."""
    return _encode_links(links) + _field(0x0A, b"\x08\x01")


def varint(number: int) -> bytes:
    """Unsigned LEB128, as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _append(levels: list[list[TreeLink]], height: int, node: Node) -> Iterator[Node]:
    """Add a node to its level; a level that was full becomes one node of the level above."""
    if height == len(levels):
        levels.append([])
    if len(levels[height]) == LINKS_PER_NODE:
        yield from _append(levels, height + 1, _file_node(levels[height]))
        levels[height] = []
    levels[height].append(TreeLink(node.cid, "", node.file_bytes, node.tree_bytes))
    yield node


def _leaf(chunk: Chunk) -> Node:
    return Node(RAW_PREFIX + hashlib.sha256(chunk).digest(), chunk, len(chunk), len(chunk))


def _file_node(links: list[TreeLink]) -> Node:
    return _dag_pb_node(encode_file(links), links)


def _dag_pb_node(block: bytes, links: list[TreeLink]) -> Node:
    file_bytes = sum(link.file_bytes for link in links)
    tree_bytes = len(block) + sum(link.tree_bytes for link in links)
    return Node(DAG_PB_PREFIX + hashlib.sha256(block).digest(), block, file_bytes, tree_bytes)


def _names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; checked before anything is read, so that a hopeless folder costs no time."""
    names, least_bytes = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ContentError(
                    f"{entry.path} is neither a file nor a folder. Symbolic links, pipes and devices cannot be stored; "
                    "put a copy of what it stands for in its place."
                )
            least_bytes += len(_encode_links([TreeLink(bytes(36), _checked_name(entry), 0, 0)]))
            if least_bytes > FOLDER_NODE_BYTES:
                raise _too_large(folder)
            names.append(entry.name)
    return sorted(names, key=str.encode)


def _checked_name(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise ContentError(f"{entry.path!r} has a name that is not UTF-8. Rename it and try again.") from None
    return entry.name


def _too_large(folder: Path) -> ContentError:
    return ContentError(
        f"{folder} has too many entries: a folder's list of names may take {FOLDER_NODE_BYTES} bytes, about "
        f"{FOLDER_NODE_BYTES // 60} short names. Spread the files over several folders within it."
    )


def _encode_links(links: list[TreeLink]) -> bytes:
    return b"".join(
        _field(0x12, _field(0x0A, link.cid) + _field(0x12, link.name.encode()) + b"\x18" + varint(link.tree_bytes))
        for link in links
    )


def _field(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + varint(len(value)) + value
