"""Layout of files and folders as blocks in Kubo's profile `unixfs-v1-2025`, which determines the CID of a content.

A file is cut into chunks of 1 MiB; each chunk is a raw leaf named by SHA-256. A file of one chunk (or none) is a single
leaf. A longer file is a balanced tree of at most 1024 links per node, whose inner nodes are UnixFS files in dag-pb. A
folder is one UnixFS directory in dag-pb with its links sorted by name, or the shards of `hamt` if that directory would
be too large.

https://specs.ipfs.tech/unixfs/, https://github.com/ipfs/specs (IPIP-499)
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from io import RawIOBase
from itertools import cycle
from pathlib import Path

from atlas import activity
from atlas.content.format.dag_pb import Chunk, PbNode, TreeLink, encode_node, inner_node, leaf
from atlas.content.format.hamt import nodes_of_entries
from atlas.content.format.protobuf import varint
from atlas.errors import ContentError

CHUNK_BYTES = 1 << 20
LINKS_PER_NODE = 1024
FOLDER_NODE_BYTES = 256 << 10
"""The largest directory block; a folder that needs more is a HAMT."""
DEEPEST_FOLDER = 64
"""The maximum depth of nested folders, when hashing and when fetching."""


def cut_bytes(data: bytes) -> Iterator[memoryview]:
    """Cut bytes into chunks of 1 MiB without copying; the last may be shorter."""
    view = memoryview(data)
    return (view[start : start + CHUNK_BYTES] for start in range(0, len(view), CHUNK_BYTES))


def read_chunks(stream: RawIOBase, buffers: int = 1) -> Iterator[memoryview]:
    """Cut a stream into chunks of 1 MiB; the last may be shorter.

    The chunks use `buffers` buffers in rotation, so a chunk is overwritten when its buffer is reused.
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


def nodes_of_chunks(chunks: Iterable[Chunk]) -> Iterator[PbNode]:
    """The blocks of a file given as its chunks: children before parents, the root last."""
    levels: list[list[TreeLink]] = [[]]
    for chunk in chunks:
        activity.advance(len(chunk))
        yield from _append(levels, 0, leaf(chunk))
    if not levels[0]:
        yield leaf(b"")
        return
    height = 0
    while height + 1 < len(levels) or len(levels[height]) > 1:
        yield from _append(levels, height + 1, _file_node(levels[height]))
        height += 1


def nodes_of_path(
    path: Path, chunks_of: Callable[[Path], Iterable[Chunk]] = chunks_of_file, depth: int = 0
) -> Iterator[tuple[Path, PbNode]]:
    """The blocks of a file or folder, each with the path it belongs to: children before parents, the root last.

    `chunks_of` reads a file. Raises as `cid_of_folder` does.
    """
    if not path.is_dir():
        yield from ((path, node) for node in nodes_of_chunks(chunks_of(path)))
        return
    if depth > DEEPEST_FOLDER:
        raise ContentError(f"{path} is nested more than {DEEPEST_FOLDER} folders deep. Use a flatter folder structure.")
    links = []
    for name in _names_in(path):
        for place, node in nodes_of_path(path / name, chunks_of, depth + 1):
            yield place, node
        links.append(TreeLink(node.cid, name, node.file_bytes, node.tree_bytes))
    yield from ((path, node) for node in nodes_of_folder(links))


def nodes_of_folder(entries: list[TreeLink]) -> Iterator[PbNode]:
    """The blocks of a folder given as its entries, sorted by name: one, or a HAMT whose root is last.

    Raises as `nodes_of_entries` does.
    """
    block = encode_folder(entries)
    if len(block) <= FOLDER_NODE_BYTES:
        yield inner_node(block, entries)
    else:
        yield from nodes_of_entries(entries)


def encode_file(links: list[TreeLink]) -> bytes:
    """The block of a UnixFS file node over its children."""
    file_bytes = sum(link.file_bytes for link in links)
    unixfs = b"\x08\x02\x18" + varint(file_bytes) + b"".join(b"\x20" + varint(link.file_bytes) for link in links)
    return encode_node(links, unixfs)


def encode_folder(links: list[TreeLink]) -> bytes:
    """The block of a UnixFS directory, its links sorted by name."""
    return encode_node(links, b"\x08\x01")


def _append(levels: list[list[TreeLink]], height: int, node: PbNode) -> Iterator[PbNode]:
    """Add a node to its level; a full level is first collapsed into one node of the level above."""
    if height == len(levels):
        levels.append([])
    if len(levels[height]) == LINKS_PER_NODE:
        yield from _append(levels, height + 1, _file_node(levels[height]))
        levels[height] = []
    levels[height].append(TreeLink(node.cid, "", node.file_bytes, node.tree_bytes))
    yield node


def _file_node(links: list[TreeLink]) -> PbNode:
    return inner_node(encode_file(links), links)


def _names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted. Checked before any file is read, so that an unusable folder fails early."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ContentError(
                    f"{entry.path} is neither a file nor a folder. Symbolic links, pipes and devices cannot be "
                    "stored; replace it with a copy of the file or folder that it refers to."
                )
            names.append(_checked_name(entry))
    return sorted(names, key=str.encode)


def _checked_name(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise ContentError(f"{entry.path!r} has a name that is not UTF-8. Rename it and try again.") from None
    return entry.name
