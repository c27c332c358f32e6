"""A signed transaction, and the newest block when it was signed."""

from typing import NamedTuple


class BlockRef(NamedTuple):
    """A block: its height and its hash, in hex. A chain that was reset has another hash at that height."""

    height: int
    block: str


class Signed(NamedTuple):
    """A signed transaction. `place` is the newest block when it was signed, so only later blocks can contain it.

    The chain refuses it after the block `timeout_height`.
    """

    data: bytes
    hash: str
    sequence: int
    timeout_height: int
    place: BlockRef
