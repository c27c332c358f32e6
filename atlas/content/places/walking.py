"""Traversal of the blocks of an untrusted file or folder, with every node checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from atlas.content.format import unixfs
from atlas.content.format.cid import cid_bytes, is_leaf
from atlas.content.format.dag import DagNode, Link, parse_node
from atlas.content.format.dag_pb import TreeLink
from atlas.content.format.hamt import HASH_BYTES, hash_of_name, split_name
from atlas.content.format.unixfs import CHUNK_BYTES, DEEPEST_FOLDER, encode_folder
from atlas.content.places.blocks import Blocks, FetchLimits
from atlas.errors import ContentError
from atlas.ids import Cid

DEEPEST_FILE = 6
"""Levels of inner nodes: 1024**6 chunks of 1 MiB exceed any real file."""


class Leaf(NamedTuple):
    """A chunk of a file, and its destination."""

    path: Path
    offset: int
    cid: Cid
    size: int


class Walk:
    """One walk over the inner nodes of a content, within `limits`.

    Raises `ContentError` beyond the limits and for inconsistent nodes, and as `Blocks.get` does.
    """

    def __init__(self, cid: Cid, blocks: Blocks, limits: FetchLimits) -> None:
        self._cid = cid
        self._blocks = blocks
        self._limits = limits
        self._bytes = 0
        self._entries = 1

    def leaves(self, node: DagNode, path: Path) -> Iterator[Leaf]:
        """The leaves in order; makes the folders on the way."""
        for place, child in self._entries_of(node, path, 0):
            if isinstance(child, Leaf):
                yield child
            elif child.kind == "file":
                yield from self._leaves_of_file(child, place, 0, 0)
            else:
                place.mkdir(mode=0o700, exist_ok=True)

    def measure(self, node: DagNode) -> int:
        """Bytes of all files."""
        for _ in self._entries_of(node, Path(), 0):
            pass
        return self._bytes

    def _entries_of(self, node: DagNode, path: Path, depth: int) -> Iterator[tuple[Path, DagNode | Leaf]]:
        """Folders before their entries, and files: each as its root node or its only leaf."""
        self._count(size=sum(node.sizes))
        yield path, node
        if node.kind == "file":
            return
        if depth > DEEPEST_FOLDER:
            raise self._refused(f"its folders are more than {DEEPEST_FOLDER} deep")
        for link in self._links_of_folder(node, path.name):
            place = path / link.name
            if is_leaf(link.cid):
                if link.tree_bytes > CHUNK_BYTES:
                    raise self._refused(f"its leaf {link.name!r} has {link.tree_bytes} bytes")
                self._count(size=link.tree_bytes)
                yield place, Leaf(place, 0, link.cid, link.tree_bytes)
            else:
                yield from self._entries_of(self._node(link.cid), place, depth + 1)

    def _links_of_folder(self, node: DagNode, name: str) -> list[Link]:
        """The entries of a folder; if it is a HAMT, all of its shards are read and checked first."""
        links = []
        for link in node.links if node.kind == "folder" else self._links_below(node, b""):
            self._count(entries=1)
            links.append(link)
        if node.kind == "shard":
            entries = [TreeLink(cid_bytes(link.cid), link.name, 0, link.tree_bytes) for link in links]
            if (size := len(encode_folder(entries))) <= unixfs.FOLDER_NODE_BYTES:
                raise self._refused(f"its folder {name!r} is a HAMT, but fits into one block of {size} bytes")
        return links

    def _links_below(self, shard: DagNode, way: bytes) -> Iterator[Link]:
        """The entries under a shard, by their own names; `way` is the path of positions from the root to the shard."""
        for link in shard.links:
            place, name = split_name(link.name)
            here = way + bytes([place])
            if not name:
                yield from self._links_below(self._shard(link, here), here)
            elif hash_of_name(name).startswith(here):
                yield link._replace(name=name)
            else:
                raise self._refused(
                    f"{name!r} has the hash {hash_of_name(name).hex()}, but is in its HAMT at {here.hex()}"
                )

    def _shard(self, link: Link, way: bytes) -> DagNode:
        if len(way) == HASH_BYTES:
            raise self._refused(f"its HAMT is more than {HASH_BYTES} shards deep at {way.hex()}")
        data = self._blocks.get(link.cid)
        shard = parse_node(link.cid, data)
        if shard.kind != "shard" or len(data) + sum(below.tree_bytes for below in shard.links) != link.tree_bytes:
            raise self._refused(f"{link.cid}, in its HAMT at {way.hex()}, is not a shard of {link.tree_bytes} bytes")
        return shard

    def _leaves_of_file(self, node: DagNode, path: Path, offset: int, depth: int) -> Iterator[Leaf]:
        if depth > DEEPEST_FILE:
            raise self._refused(f"the tree of a file is more than {DEEPEST_FILE} nodes deep")
        for link, size in zip(node.links, node.sizes, strict=True):
            if is_leaf(link.cid):
                yield Leaf(path, offset, link.cid, size)
            else:
                child = self._node(link.cid)
                if child.kind != "file" or sum(child.sizes) != size:
                    raise self._refused(f"{link.cid} is not a file of {size} bytes, as its parent node gives")
                yield from self._leaves_of_file(child, path, offset, depth + 1)
            offset += size

    def _node(self, cid: Cid) -> DagNode:
        return parse_node(cid, self._blocks.get(cid))

    def _count(self, size: int = 0, entries: int = 0) -> None:
        self._bytes += size
        self._entries += entries
        if self._bytes > self._limits.most_bytes or self._entries > self._limits.most_entries:
            raise self._refused(
                f"it has more than {self._limits.most_bytes} bytes, or more than {self._limits.most_entries} files "
                "and folders"
            )

    def _refused(self, why: str) -> ContentError:
        return ContentError(f"{self._cid} is refused: {why}.")
