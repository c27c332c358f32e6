"""A content store in a folder: one file or folder per content, at `<last two characters of the CID>/<CID>`."""

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from atlas.content.format.cid import cid_of_bytes, cids_of_path, parse_cid
from atlas.content.local.errors import check_cid, how_to_bring, reading, removing, writing
from atlas.content.local.files import bytes_in, copy_path, freeze, identity, make_folder, move, remove_path
from atlas.content.local.lock import locked, remove_unlocked, sweep, workspace
from atlas.content.local.names import changed_names, relative_to, write_names
from atlas.content.local.pins import PinSets
from atlas.content.store import PINNED, ContentStat, HeldContent, Replicas
from atlas.disk.files import sync
from atlas.errors import ContentError, CorruptContent
from atlas.ids import Cid

EVERY_CONTENT = "??/baf" + 56 * "?"
PARTIAL_SECONDS = 7 * 24 * 3600
"""How long the partial bytes of an interrupted fetch are kept for a retry."""


class LocalStore:
    """Content in a folder; safe under `kill -9` and with concurrent readers, writers and collectors.

    Bytes are written to a locked folder in `tmp/`, synced, and renamed to their final path, so a content is either
    complete or absent. An unlocked entry in `tmp/` was left by a killed writer; the next process that opens the store
    removes it.

    The modification time of a content is the time of its last use. It is set under a shared lock on the file `lock`.
    Removal takes this lock exclusively, so that content that `fetch` just returned does not count as unused.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / "tmp"
        self._partial = root / "partial"
        self._pins = PinSets(root / "pins")
        self._lock = root / "lock"
        now = time.time()
        sweep(self._temporary, unused_since=now)
        sweep(self._partial, unused_since=now - PARTIAL_SECONDS)

    def put(self, source: Path | bytes) -> Cid:
        """Store a file, folder or bytes and return the CID; repairs a corrupt copy.

        Raises `ContentError`, and stores nothing, when the source cannot be read or stored, or has no CID (see
        `cid_of_folder`).
        """
        what = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
        with writing(what, self.root), workspace(self._temporary) as room:
            copy = room / "content"
            cids = copy_path(source, copy)
            self._publish(copy, cids, room)
        return cids[copy]

    def partial(self, cid: Cid) -> Path:
        """The path at which a fetch collects the bytes of `cid` until `adopt`; the fetch creates the file or folder.

        They survive an interrupted fetch and are removed after a week without use. The writer must lock the file or
        folder (flock).
        """
        path = self._partial / parse_cid(cid)
        with writing(cid, self.root):
            self._partial.mkdir(parents=True, exist_ok=True)
            if path.exists():
                os.utime(path)
        return path

    def adopt(self, path: Path, cid: Cid) -> None:
        """Take over a file or folder that was written in `tmp` or `partial`, without copying it.

        Raises `CorruptContent`, and leaves it in place, when its CID is not `cid`.
        """
        parse_cid(cid)
        if not {self._temporary, self._partial} & set(path.parents):
            raise ContentError(f"{path} is not in {self._partial}, so it cannot be moved from there. Put it instead.")
        with writing(str(path), self.root), workspace(self._temporary) as room:
            cids = cids_of_path(path)
            check_cid(cid, cids[path], path)
            self._publish(path, cids, room)

    def fetch(self, cid: Cid) -> Path:
        """The path of the content, checked against its CID each time; raises `ContentNotFound`, `CorruptContent`."""
        path = self._path(cid)
        with reading(cid, self.root):
            self._mark_used(path)
            try:
                found = cids_of_path(path)
            except ContentError as error:
                raise CorruptContent(f"{path} is corrupt: {error} {how_to_bring(cid)}", expected=cid) from error
            check_cid(cid, found[path], path, changed_names(self._names(cid), relative_to(path, found)))
        return path

    def read(self, cid: Cid) -> bytes:
        """The bytes of a file, checked against its CID; raises `ContentNotFound`, `CorruptContent`.

        Raises `ContentError` for a folder.
        """
        path = self._path(cid)
        with reading(cid, self.root):
            self._mark_used(path)
            if path.is_dir():
                raise ContentError(f"{cid} is a folder, expected a file. Fetch it and read its files.")
            data = path.read_bytes()
        check_cid(cid, cid_of_bytes(data), path)
        return data

    def has(self, cid: Cid) -> bool:
        """Whether there is a file or folder for `cid`."""
        return self._path(cid).exists()

    def stat(self, cid: Cid) -> ContentStat:
        """The size of a file, or of all files in a folder; raises `ContentNotFound`."""
        with reading(cid, self.root):
            return ContentStat(cid, bytes_in(self._path(cid)))

    def pin(self, cid: Cid, into: str = PINNED) -> None:
        """Protect `cid` from `trim` and `remove`; raises `ContentNotFound`."""
        path = self._path(cid)
        with reading(cid, self.root):
            path.stat()
            with locked(self._lock, exclusive=False):
                path.stat()
                self._pins.add(cid, into)

    def unpin(self, cid: Cid, out_of: str | None = None) -> None:
        """Allow `trim` and `remove` to remove `cid` once it is in no set; no effect if it was not pinned."""
        self._pins.discard(cid, out_of)

    def trim(self, keep_bytes: int) -> int:
        """Remove unpinned content, the least recently used first, until `keep_bytes` are left; returns bytes freed.

        A path that `fetch` returned may disappear, so call this while nothing reads from the store.
        """
        excess = sum(content.size for content in self.held()) - keep_bytes
        freed = 0
        if excess > 0:
            with removing(self.root), locked(self._lock, exclusive=True):
                for content in sorted(self.held(), key=lambda content: (content.used_at, content.cid)):
                    if freed >= excess:
                        break
                    if not content.pinned:
                        freed += self._discard(self._path(content.cid))
        return freed

    def held(self) -> Iterator[HeldContent]:
        """Every content, sorted by CID; the bytes are not checked."""
        pins = self._pins.by_cid()
        for path in sorted(self.root.glob(EVERY_CONTENT), key=lambda path: path.name):
            try:
                used_at, size = path.stat().st_mtime, bytes_in(path)
            except FileNotFoundError:  # removed meanwhile
                continue
            cid = Cid(path.name)
            yield HeldContent(cid, size, used_at, pins.get(cid, ()))

    def remove(self, cid: Cid, unused_since: float) -> int:
        """Remove `cid` unless it is pinned or was used after `unused_since` (seconds since the epoch).

        Returns the bytes freed, 0 when it stays or is absent. A reader that has the file open can continue to read.
        """
        path = self._path(cid)
        if not path.exists():
            return 0
        with removing(self.root), locked(self._lock, exclusive=True):
            if not path.exists() or self._pins.of(cid) or path.stat().st_mtime > unused_since:
                return 0
            return self._discard(path)

    def replicate(self, cid: Cid) -> Replicas:
        """The replicas of `cid`; a single folder makes no further copies. Raises `ContentNotFound`."""
        with reading(cid, self.root):
            self._path(cid).stat()
        return self.replicas(cid)

    def replicas(self, cid: Cid) -> Replicas:
        """The one wanted copy is in this folder, or missing."""
        return Replicas(cid, wanted=1, holders=[str(self.root)] if self.has(cid) else [], silent=[])

    def _path(self, cid: Cid) -> Path:
        return self.root / parse_cid(cid)[-2:] / cid

    def _names(self, cid: Cid) -> Path:
        return self.root / "names" / f"{cid}.json"

    def _mark_used(self, path: Path) -> None:
        """Set the time of last use; raises `FileNotFoundError` when the content is not there."""
        path.stat()
        try:
            with locked(self._lock, exclusive=False):
                os.utime(path)
        except OSError as error:
            # A process with read-only access cannot set the time of last use.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise

    def _publish(self, written: Path, cids: dict[Path, Cid], room: Path) -> None:
        """Move a file or folder to its final path, durably; if an intact copy exists, `written` is discarded."""
        cid = cids[written]
        target, names = self._path(cid), room / "names"
        while True:
            there = identity(target)
            if there and self._is_good(cid):
                break
            freeze(written)
            make_folder(target.parent)
            if written.is_dir():
                make_folder(self._names(cid).parent)
                write_names(names, relative_to(written, cids))
            with locked(self._lock, exclusive=True):
                os.utime(written)
                if identity(target) == there:  # otherwise another writer was first: check its copy
                    if there:
                        move(target, room / "damaged")
                    if names.exists():
                        names.replace(self._names(cid))
                    move(written, target)
                    break
        remove_path(written)
        sync(target.parent)

    def _is_good(self, cid: Cid) -> bool:
        """Whether the copy of `cid` is intact; False if it cannot be read."""
        try:
            self.fetch(cid)
        except ContentError:
            return False
        return True

    def _discard(self, path: Path) -> int:
        """Remove a content atomically, as seen at its path; returns its size in bytes."""
        size = bytes_in(path)
        if path.is_dir():
            removed = self._temporary / secrets.token_hex(8)
            self._temporary.mkdir(exist_ok=True)
            move(path, removed)
            remove_unlocked(removed)
            self._names(Cid(path.name)).unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
        return size
