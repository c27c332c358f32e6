"""Blocks of files and folders: written, checked and read one at a time."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from atlas.content.format import unixfs
from atlas.content.format.cid import cid_bytes, cid_text, is_cid, is_leaf
from atlas.content.format.dag_pb import RAW_PREFIX, TreeLink
from atlas.content.format.hamt import encode_shard, is_link_name, split_name
from atlas.content.format.protobuf import MalformedMessage, fields_of
from atlas.content.format.unixfs import encode_file, encode_folder, nodes_of_path
from atlas.errors import ContentError, CorruptContent
from atlas.ids import Cid

LARGEST_BLOCK = 2 << 20
"""In bytes: the most that Kubo exchanges."""


Kind = Literal["file", "folder", "shard"]
"""A shard is a part, or the root, of a folder that is a HAMT."""


class Block(NamedTuple):
    """One block and its name."""

    cid: Cid
    data: bytes


class Link(NamedTuple):
    """A node's reference to a child."""

    cid: Cid
    name: str
    """Empty within a file. In a HAMT shard it begins with the position in the shard; see `hamt.split_name`."""
    tree_bytes: int
    """Bytes of all blocks below, as the parent claims."""


class DagNode(NamedTuple):
    """A block as a part of a file or folder. A leaf has no links: its bytes are the file's."""

    kind: Kind
    links: list[Link]
    sizes: list[int]
    """Bytes of the file under each link, as this node claims; empty for a folder or shard."""


def check_block(cid: Cid, data: bytes) -> None:
    """Raise `CorruptContent` unless the SHA-256 in `cid` is that of `data`; `ContentError` when `cid` is not a CID."""
    found = cid_bytes(cid)[:4] + hashlib.sha256(data).digest()
    if found != cid_bytes(cid):
        raise CorruptContent(
            f"A block of {len(data)} bytes does not match its CID: expected {cid}, found {cid_text(found)}. Its "
            "source is faulty or malicious; fetch it from another place."
        )


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a file or folder: children before parents, the root last. Holds one block in memory at a time.

    Raises `ContentError` for a folder that cannot be stored, `OSError` when something cannot be read.
    """
    for _, node in nodes_of_path(path):
        yield Block(cid_text(node.cid), bytes(node.data))


def parse_node(cid: Cid, data: bytes) -> DagNode:
    """Decode a block that `check_block` has verified.

    Raises `ContentError`, which names the kind of block, if the profile `unixfs-v1-2025` would not write it for a file
    or folder: the content would then have another CID here. The block alone does not show whether a shard is at its
    correct position.
    """
    if len(data) > LARGEST_BLOCK:
        _refuse(cid, f"it has {len(data)} bytes, more than {LARGEST_BLOCK}")
    if is_leaf(cid):
        if len(data) > unixfs.CHUNK_BYTES:
            _refuse(cid, f"its leaf has {len(data)} bytes, more than {unixfs.CHUNK_BYTES}")
        return DagNode("file", [], [])
    try:
        node, links = _read(cid, data)
    except (MalformedMessage, UnicodeDecodeError) as error:
        _refuse(cid, f"it is not a dag-pb node ({error})")
    if _ENCODE[node.kind](links) != data:
        _refuse(cid, "its encoding differs from that of the profile")
    return node


_ENCODE: dict[Kind, Callable[[list[TreeLink]], bytes]] = {
    "file": encode_file,
    "folder": encode_folder,
    "shard": encode_shard,
}


def _read(cid: Cid, data: bytes) -> tuple[DagNode, list[TreeLink]]:
    encoded_links, unixfs_message = [], b""
    for number, value in fields_of(data):
        if number == 2 and isinstance(value, bytes):
            encoded_links.append(value)
        elif number == 1 and isinstance(value, bytes):
            unixfs_message = value
    kind, sizes = _read_unixfs(cid, unixfs_message)
    if kind == "file":
        if len(sizes) != len(encoded_links):
            _refuse(cid, f"it gives {len(sizes)} sizes for {len(encoded_links)} links")
        if not 1 <= len(encoded_links) <= unixfs.LINKS_PER_NODE:
            _refuse(cid, f"a file node has {len(encoded_links)} links, expected 1 to {unixfs.LINKS_PER_NODE}")
    elif kind == "folder" and len(data) > unixfs.FOLDER_NODE_BYTES:
        _refuse(cid, f"its folder node has {len(data)} bytes, more than {unixfs.FOLDER_NODE_BYTES}")
    tree_links = [
        _read_link(cid, link, size) for link, size in zip(encoded_links, sizes or [0] * len(encoded_links), strict=True)
    ]
    _CHECK[kind](cid, tree_links)
    links = [Link(cid_text(link.cid), link.name, link.tree_bytes) for link in tree_links]
    return DagNode(kind, links, sizes), tree_links


def _read_unixfs(cid: Cid, message: bytes) -> tuple[Kind, list[int]]:
    """The kind of node and the sizes below it; the comparison with our own encoding detects any other field."""
    kind, sizes, inline = None, [], False
    for number, value in fields_of(message):
        if number == 1:
            kind = value
        elif number == 2:
            inline = True
        elif number == 4 and isinstance(value, int):
            sizes.append(value)
    if kind not in _KINDS:
        _refuse(cid, f"it is a UnixFS {_OTHER_KINDS.get(kind, 'node of unknown type')}")
    if inline and kind != 5:
        _refuse(cid, "it holds file bytes inline, not in raw leaves")
    if sizes and kind != 2:
        _refuse(cid, f"its {_KINDS[kind]} node gives sizes, as only file nodes do")
    return _KINDS[kind], sizes


_KINDS: dict[object, Kind] = {1: "folder", 2: "file", 5: "shard"}
_OTHER_KINDS: dict[object, str] = {
    0: "raw node in dag-pb, not a raw leaf",
    3: "metadata node",
    4: "symbolic link",
}


def _read_link(cid: Cid, message: bytes, file_bytes: int) -> TreeLink:
    found = dict(fields_of(message))
    target, name, tree_bytes = found.get(1), found.get(2), found.get(3)
    if not (isinstance(target, bytes) and isinstance(name, bytes) and isinstance(tree_bytes, int)):
        _refuse(cid, "a link lacks its CID, name or size")
    if not is_cid(target):
        _refuse(cid, "one of its links is not a CIDv1 of SHA-256, raw or dag-pb")
    return TreeLink(target, name.decode(), file_bytes, tree_bytes)


def _check_file(cid: Cid, links: list[TreeLink]) -> None:
    """Refuse children that do not form a balanced tree: all of one kind and full, except the last."""
    sizes = [link.file_bytes for link in links]
    full = sizes[0]
    if any(size != full for size in sizes[:-1]) or not 0 < sizes[-1] <= full:
        _refuse(cid, "its children differ in size, and not only by a shorter last one")
    leaves = [link.cid[:4] == RAW_PREFIX for link in links]
    if any(leaf != leaves[0] for leaf in leaves):
        _refuse(cid, "it has leaves and inner nodes side by side")
    if any(link.name for link in links):
        _refuse(cid, "its links within a file have names")
    if (leaves[0] and full > unixfs.CHUNK_BYTES) or (len(sizes) > 1 and not _is_full(full, leaves[0])):
        _refuse(
            cid, f"its file is not cut into chunks of {unixfs.CHUNK_BYTES} bytes, {unixfs.LINKS_PER_NODE} to a node"
        )


def _is_full(size: int, leaf: bool) -> bool:
    """Whether a full leaf, or a full inner node of any height, holds `size` bytes."""
    full = unixfs.CHUNK_BYTES
    if leaf:
        return size == full
    while full < size:
        full *= unixfs.LINKS_PER_NODE
    return full == size and size > unixfs.CHUNK_BYTES


def _check_folder(cid: Cid, links: list[TreeLink]) -> None:
    for link in links:
        _check_name(cid, link.name)
    if any(first.name.encode() >= second.name.encode() for first, second in pairwise(links)):
        _refuse(cid, "its names are not sorted, or one occurs twice")


def _check_shard(cid: Cid, links: list[TreeLink]) -> None:
    """Refuse a shard unless its links have distinct positions and it leads to at least two entries."""
    for link in links:
        if not is_link_name(link.name):
            _refuse(cid, f"{link.name!r} does not begin with a position in a shard, 00 to FF")
    found = [split_name(link.name) for link in links]
    entries = [name for _, name in found if name]
    for name in entries:
        _check_name(cid, name)
    if any(first >= second for (first, _), (second, _) in pairwise(found)):
        _refuse(cid, "its positions are not sorted, or one occurs twice")
    if len(links) == len(entries) < 2:
        _refuse(cid, f"its shard has {len(entries)} entries, expected at least two")


def _check_name(cid: Cid, name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > 255:
        _refuse(cid, f"{name!r} cannot be the name of a file")


_CHECK: dict[Kind, Callable[[Cid, list[TreeLink]], None]] = {
    "file": _check_file,
    "folder": _check_folder,
    "shard": _check_shard,
}


def _refuse(cid: Cid, why: str) -> NoReturn:
    raise ContentError(
        f"{cid} cannot be used here: {why}. Add it again with Kubo's profile unixfs-v1-2025 and use the new CID."
    )
