"""What every content store can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from atlas.errors import ContentNotFound, CorruptContent

PINNED = "kept"
"""The pin set of what somebody wants to keep and says no more about."""


@dataclass(frozen=True)
class ContentStat:
    """What a store knows of one content without reading it."""

    cid: str
    size: int
    """Bytes of the file itself."""


@dataclass(frozen=True)
class Replicas:
    """Where whole copies of one content are known to be."""

    cid: str
    wanted: int
    holders: list[str]
    """Folders, and addresses of nodes, by name."""
    silent: list[str]
    """Places that did not answer."""

    @property
    def enough(self) -> bool:
        """Whether as many copies are there as are wanted."""
        return len(self.holders) >= self.wanted


class ContentStore(Protocol):
    """Bytes named by their CID. Whatever a store hands out was checked against its CID on the way out.

    Every method raises `ContentError` for text that is no CID, and when the store cannot be read or written.
    """

    def put(self, source: Path | bytes) -> str:
        """Hold a file or bytes and return the CID; complete and durable on return, else absent."""

    def fetch(self, cid: str) -> Path:
        """A local file with exactly the bytes of `cid`, to be read only.

        Raises `ContentNotFound`, or `CorruptContent` when the bytes have another CID.
        """

    def read(self, cid: str) -> bytes:
        """The bytes of `cid`; raises as `fetch` does."""

    def has(self, cid: str) -> bool:
        """Whether the store holds `cid`; its bytes are not checked."""

    def stat(self, cid: str) -> ContentStat:
        """The size of `cid`; raises `ContentNotFound`."""

    def pin(self, cid: str, into: str = PINNED) -> None:
        """Keep a copy of `cid` here while it is in this pin set; raises `ContentNotFound`."""

    def replicate(self, cid: str) -> Replicas:
        """Make the copies that a put of `cid` would make, as far as places answer; where it is now.

        Raises as `fetch` does when there is no copy here yet.
        """

    def unpin(self, cid: str, out_of: str | None = None) -> None:
        """Take `cid` out of a pin set, or out of all of them; once it is in none, it may go when room is made."""

    def trim(self, keep_bytes: int) -> int:
        """Remove local copies that are not pinned, oldest first, until `keep_bytes` are left; returns bytes freed."""


@dataclass(frozen=True)
class HeldContent:
    """One content that a store has a copy of on this machine."""

    cid: str
    size: int
    used_at: float
    """Seconds since the epoch: when it was last put or handed out."""
    pins: tuple[str, ...] = ()
    """The pin sets that it is in, sorted."""

    @property
    def pinned(self) -> bool:
        """Whether it stays whatever is removed."""
        return bool(self.pins)


class KeptStore(ContentStore, Protocol):
    """A store whose owner decides what stays."""

    def held(self) -> Iterator[HeldContent]:
        """Every local copy, by CID."""

    def remove(self, cid: str, unused_since: float) -> int:
        """Remove every copy that is ours, unless pinned or used after `unused_since` (seconds since the epoch).

        Returns the bytes freed here, 0 when it stays. Safe beside readers: one that has the path reads on, or the
        content counts as used.
        """

    def replicas(self, cid: str) -> Replicas:
        """Ask every place for `cid`."""


def is_kept(store: ContentStore, cid: str) -> bool:
    """Whether `cid` can be had whole. From now on it counts as used, so that a collection leaves it.

    Raises `ContentError` when no place can tell.
    """
    try:
        store.fetch(cid)
    except (ContentNotFound, CorruptContent):
        return False
    return True
