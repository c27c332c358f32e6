"""Kubo's encoding of a folder that is too large for one block: a HAMT, a tree of shards of up to 256 links each.

The hash of a name is its path through the tree, one byte per level. A link's name starts with that byte in hex. A link
to an entry continues with the entry's name; if several names share the byte, the link leads to a shard of the next
level.

https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from mmh3 import hash64

from atlas.content.format.dag_pb import PbNode, TreeLink, encode_node, inner_node
from atlas.content.format.protobuf import field
from atlas.errors import ContentError

HASH_BYTES = 8
"""Also the maximum number of levels."""

_LINK_NAME = re.compile("[0-9A-F]{2}")
_MURMUR3_AND_FANOUT = b"\x28\x22\x30\x80\x02"  # fields 5 and 6: murmur3-x64-64, 256


def nodes_of_entries(entries: Iterable[TreeLink]) -> Iterator[PbNode]:
    """The shards of a folder: children before parents, the root last. The order of `entries` does not matter.

    Raises `ContentError` for names that have the same hash, which a HAMT cannot hold.
    """
    return _shards(sorted((hash_of_name(entry.name), entry) for entry in entries), level=0)


def encode_shard(links: Sequence[TreeLink]) -> bytes:
    """The block of one shard, its links named as `split_name` reads them, and sorted."""
    taken = sum(1 << int(link.name[:2], 16) for link in links)
    bitfield = taken.to_bytes((taken.bit_length() + 7) // 8, "big")
    return encode_node(links, b"\x08\x05" + field(0x12, bitfield) + _MURMUR3_AND_FANOUT)


def is_link_name(text: str) -> bool:
    """Whether a name begins with a position in a shard, 00 to FF."""
    return bool(_LINK_NAME.match(text))


def split_name(link_name: str) -> tuple[int, str]:
    """The position of a link in its shard, and the name of its entry; the name is empty for a link to another shard."""
    return int(link_name[:2], 16), link_name[2:]


def hash_of_name(name: str) -> bytes:
    """The first half of MurmurHash3 x64 128, as Kubo's HAMT reads it."""
    first, _ = hash64(name.encode(), seed=0, x64arch=True, signed=False)
    return first.to_bytes(HASH_BYTES, "big")


def _shards(entries: list[tuple[bytes, TreeLink]], level: int) -> Iterator[PbNode]:
    if level == HASH_BYTES:
        first, second = (entry.name for _, entry in entries[:2])
        raise ContentError(
            f"{first!r} and {second!r} cannot be in one large folder: they have the same hash. Rename one."
        )
    links = []
    for place, group in groupby(entries, key=lambda hashed: hashed[0][level]):
        below = list(group)
        if len(below) == 1:
            [(_, entry)] = below
            links.append(entry._replace(name=f"{place:02X}{entry.name}"))
        else:
            for node in _shards(below, level + 1):
                yield node
            links.append(TreeLink(node.cid, f"{place:02X}", node.file_bytes, node.tree_bytes))
    yield inner_node(encode_shard(links), links)
