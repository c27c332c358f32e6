"""dag-pb nodes: links and data in the canonical encoding. https://ipld.io/specs/codecs/dag-pb/spec/."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from atlas.content.format.protobuf import field, varint

RAW_PREFIX = b"\x01\x55\x12\x20"  # CIDv1, raw, sha2-256, 32 bytes
DAG_PB_PREFIX = b"\x01\x70\x12\x20"  # CIDv1, dag-pb, sha2-256, 32 bytes

Chunk = bytes | memoryview


class PbNode(NamedTuple):
    """A block of a tree, with the values that its parent's link records."""

    cid: bytes
    data: Chunk
    """Valid only until the next node is requested: a leaf may lie in a buffer that is reused."""
    file_bytes: int
    tree_bytes: int


class TreeLink(NamedTuple):
    """A link as dag-pb and UnixFS encode it; `file_bytes` is used in files only."""

    cid: bytes
    name: str
    file_bytes: int
    tree_bytes: int


def leaf(chunk: Chunk) -> PbNode:
    """A raw block, without a dag-pb envelope."""
    return PbNode(RAW_PREFIX + hashlib.sha256(chunk).digest(), chunk, len(chunk), len(chunk))


def inner_node(block: bytes, links: Sequence[TreeLink]) -> PbNode:
    """A node from its encoded block; its sizes are summed from `links`."""
    file_bytes = sum(link.file_bytes for link in links)
    tree_bytes = len(block) + sum(link.tree_bytes for link in links)
    return PbNode(DAG_PB_PREFIX + hashlib.sha256(block).digest(), block, file_bytes, tree_bytes)


def encode_node(links: Sequence[TreeLink], data: bytes) -> bytes:
    """The block of a node: the links before the data."""
    encoded = (
        field(0x12, field(0x0A, link.cid) + field(0x12, link.name.encode()) + b"\x18" + varint(link.tree_bytes))
        for link in links
    )
    return b"".join(encoded) + field(0x0A, data)
