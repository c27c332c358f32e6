"""The interfaces of content stores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from atlas.errors import ContentNotFound, CorruptContent
from atlas.ids import Cid

PINNED = "kept"
"""The default pin set."""


@dataclass(frozen=True)
class ContentStat:
    """The metadata of one content, available without reading it."""

    cid: Cid
    size: int
    """Bytes of the file itself."""


@dataclass(frozen=True)
class Replicas:
    """The known complete copies of one content."""

    cid: Cid
    wanted: int
    holders: list[str]
    """Folders, and addresses of nodes, by name."""
    silent: list[str]
    """Places that did not answer."""

    @property
    def enough(self) -> bool:
        """Whether there are at least `wanted` copies."""
        return len(self.holders) >= self.wanted


class ContentStore(Protocol):
    """Bytes named by their CID. A store checks content against its CID whenever it returns it.

    Every method raises `ContentError` for text that is not a CID, and when the store cannot be read or written.
    """

    def put(self, source: Path | bytes) -> Cid:
        """Store a file or bytes durably and return the CID; after an error the content is absent."""

    def fetch(self, cid: Cid) -> Path:
        """The path of a local file with exactly the bytes of `cid`; callers must not modify it.

        Raises `ContentNotFound`, or `CorruptContent` when the bytes have another CID.
        """

    def read(self, cid: Cid) -> bytes:
        """The bytes of `cid`; raises as `fetch` does."""

    def has(self, cid: Cid) -> bool:
        """Whether the store holds `cid`; its bytes are not checked."""

    def stat(self, cid: Cid) -> ContentStat:
        """The size of `cid`; raises `ContentNotFound`."""

    def pin(self, cid: Cid, into: str = PINNED) -> None:
        """Keep a copy of `cid` here while it is in this pin set; raises `ContentNotFound`."""

    def replicate(self, cid: Cid) -> Replicas:
        """Make the copies that a put of `cid` would make, on the places that answer; returns the resulting replicas.

        Raises as `fetch` does when there is no copy here yet.
        """

    def unpin(self, cid: Cid, out_of: str | None = None) -> None:
        """Remove `cid` from a pin set, or from all of them; once it is in none, `trim` may remove it."""

    def trim(self, keep_bytes: int) -> int:
        """Remove local copies that are not pinned, oldest first, until `keep_bytes` are left; returns bytes freed."""


@dataclass(frozen=True)
class HeldContent:
    """One content that a store has a copy of on this machine."""

    cid: Cid
    size: int
    used_at: float
    """When it was last put or fetched, in seconds since the epoch."""
    pins: tuple[str, ...] = ()
    """The pin sets that it is in, sorted."""

    @property
    def pinned(self) -> bool:
        """Whether the content is protected from removal."""
        return bool(self.pins)


class KeptStore(ContentStore, Protocol):
    """A store whose owner can list and remove content."""

    def held(self) -> Iterator[HeldContent]:
        """Every local copy, sorted by CID."""

    def remove(self, cid: Cid, unused_since: float) -> int:
        """Remove every copy that is ours, unless pinned or used after `unused_since` (seconds since the epoch).

        Returns the bytes freed on this machine, 0 when the content stays. Safe with concurrent readers: a reader with
        the file open can continue, and a fetch marks the content as used.
        """

    def replicas(self, cid: Cid) -> Replicas:
        """Ask every place whether it holds `cid`."""


def is_kept(store: ContentStore, cid: Cid) -> bool:
    """Whether a complete copy of `cid` is available. Marks it as used, so that a collection keeps it.

    Raises `ContentError` when no place answers.
    """
    try:
        store.fetch(cid)
    except (ContentNotFound, CorruptContent):
        return False
    return True
