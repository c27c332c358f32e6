"""A store for the life of one piece of work: each file is verified once, and each document is parsed once."""

from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

from atlas.content.store import PINNED, ContentStat, ContentStore, Replicas
from atlas.ids import Cid


@dataclass(frozen=True)
class _Verified:
    """A file whose bytes had the CID while the file system described it like this."""

    path: Path
    identity: tuple[int, ...]


class VerifiedStore:
    """The content of another store, without hashing a file again that has not changed since it was verified.

    A verified file is kept with its device, inode, size and times of change. If one of them differs, which is also the
    case after another process has marked the file as used, the file is verified again. Folders are verified each time.
    Not noticed is a write in place during the verification itself, and one of the same size within its clock tick (4 ms
    before Linux 6.13). Files of a store are read-only and replaced as a whole, which is always noticed.
    What is held grows with the content that is read, so a store is for one round, not for the life of a process.
    Thread-safe.
    """

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._files: dict[Cid, _Verified] = {}
        self.documents: dict[tuple[Cid, type], Any] = {}
        """Documents by CID and type, as `atlas.documents.stored.get_document` has parsed them."""

    def fetch(self, cid: Cid) -> Path:
        """The path of a file with exactly the bytes of `cid`; raises as `ContentStore.fetch` does."""
        known = self._files.get(cid)
        if known is not None and known.identity == _identity(known.path):
            return known.path
        path = self._store.fetch(cid)
        identity = _identity(path)
        if identity is not None:
            self._files[cid] = _Verified(path, identity)
        return path

    def read(self, cid: Cid) -> bytes:
        """The bytes of `cid`, verified each time; raises as `ContentStore.read` does."""
        return self._store.read(cid)

    def put(self, source: Path | bytes) -> Cid:
        """Store a file or bytes and return the CID; raises as `ContentStore.put` does."""
        return self._store.put(source)

    def has(self, cid: Cid) -> bool:
        """Whether the store holds `cid`; its bytes are not checked."""
        return self._store.has(cid)

    def stat(self, cid: Cid) -> ContentStat:
        """The size of `cid`; raises `ContentNotFound`."""
        return self._store.stat(cid)

    def pin(self, cid: Cid, into: str = PINNED) -> None:
        """Keep a copy of `cid`, as `ContentStore.pin` does."""
        self._store.pin(cid, into)

    def replicate(self, cid: Cid) -> Replicas:
        """Make the copies that the store requires; raises as `ContentStore.replicate` does."""
        return self._store.replicate(cid)

    def unpin(self, cid: Cid, out_of: str | None = None) -> None:
        """Remove `cid` from a pin set, or from all of them."""
        self._store.unpin(cid, out_of)

    def trim(self, keep_bytes: int) -> int:
        """Remove local copies, as `ContentStore.trim` does."""
        return self._store.trim(keep_bytes)


def _identity(path: Path) -> tuple[int, ...] | None:
    """Values of which at least one differs after the file was written or replaced; None for a folder or no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # The change time cannot be set back, as the modification time can.
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return (found.st_dev, found.st_ino, found.st_size, *times) if S_ISREG(found.st_mode) else None
