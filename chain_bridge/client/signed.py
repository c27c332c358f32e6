"""A transaction that was signed, and the block that it was signed at."""

from typing import NamedTuple


class BlockRef(NamedTuple):
    """A block: its height and its hash, in hex. A chain that was reset has another hash at that height."""

    height: int
    block: str


class Signed(NamedTuple):
    """A signed transaction: void after the block `timeout_height`, in no block up to `place`, where it was made."""

    data: bytes
    hash: str
    sequence: int
    timeout_height: int
    place: BlockRef
