"""A content store in a folder: one file per content, at `<last two characters of the CID>/<CID>`."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from atlas.content.cid import cid_of_bytes, cid_of_chunks, cid_of_file, cut_bytes, parse_cid, read_chunks
from atlas.content.store import ContentStat
from atlas.errors import ContentError, ContentNotFound, CorruptContent


class LocalStore:
    """Content in a folder, safe under `kill -9` and with many writers at once.

    Bytes are written to `tmp/` under an exclusive lock, synced, and renamed to their place, so a content is there
    whole or not at all. A temporary file that nobody locks was left by a killed writer; the next store sweeps it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary_folder = root / "tmp"
        self._pins = root / "pins"
        self._sweep()

    def put(self, source: Path | bytes) -> str:
        """Hold a file or bytes and return the CID; heals a corrupt copy. Raises `ContentError` and leaves nothing."""
        try:
            with self._temporary_file() as temporary:
                cid = _copy(source, temporary)
                self._publish(temporary, cid)
        except OSError as error:
            what = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
            raise ContentError(
                f"Cannot store {what} in {self.root}: {error.strerror or error}. Nothing was stored. {_advice(error)}"
            ) from error
        return cid

    def fetch(self, cid: str) -> Path:
        """The path of the content, checked against its CID each time; raises `ContentNotFound`, `CorruptContent`."""
        path = self._path(cid)
        with self._reading(cid):
            _check(cid, cid_of_file(path), path)
        return path

    def read(self, cid: str) -> bytes:
        """The bytes of the content, checked against its CID; raises `ContentNotFound`, `CorruptContent`."""
        path = self._path(cid)
        with self._reading(cid):
            data = path.read_bytes()
        _check(cid, cid_of_bytes(data), path)
        return data

    def has(self, cid: str) -> bool:
        """Whether there is a file for `cid`."""
        return self._path(cid).is_file()

    def stat(self, cid: str) -> ContentStat:
        """The file's size; raises `ContentNotFound`."""
        with self._reading(cid):
            return ContentStat(cid, self._path(cid).stat().st_size)

    def pin(self, cid: str) -> None:
        """Keep `cid` whatever `trim` removes; raises `ContentNotFound`."""
        self.stat(cid)
        self._pins.mkdir(parents=True, exist_ok=True)
        (self._pins / cid).touch()
        _sync_folder(self._pins)

    def unpin(self, cid: str) -> None:
        """Let `trim` remove `cid`; nothing happens if it was not pinned."""
        (self._pins / parse_cid(cid)).unlink(missing_ok=True)

    def trim(self, keep_bytes: int) -> int:
        """Remove what is not pinned, oldest first, until `keep_bytes` are left; returns bytes freed.

        A path that `fetch` gave out may vanish, so call it while nothing reads from this store.
        """
        found = [(path, path.stat()) for path in self.root.glob("??/b*")]
        excess = sum(stat.st_size for _, stat in found) - keep_bytes
        freed = 0
        for path, stat in sorted(found, key=lambda item: (item[1].st_mtime_ns, item[0])):
            if freed >= excess:
                break
            if not (self._pins / path.name).exists():
                path.unlink(missing_ok=True)
                freed += stat.st_size
        return freed

    def _path(self, cid: str) -> Path:
        return self.root / parse_cid(cid)[-2:] / cid

    @contextmanager
    def _temporary_file(self) -> Iterator[IO[bytes]]:
        """A locked file in `tmp/`, removed at the end unless it was renamed away."""
        self._temporary_folder.mkdir(parents=True, exist_ok=True)
        while True:
            with tempfile.NamedTemporaryFile(dir=self._temporary_folder, delete=False) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    if os.fstat(file.fileno()).st_nlink:  # a sweep may come between creation and lock
                        yield file
                        return
                finally:
                    Path(file.name).unlink(missing_ok=True)

    def _publish(self, temporary: IO[bytes], cid: str) -> None:
        """Give a written file its name, durably; a good copy that is already there stays."""
        target = self._path(cid)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(self.root)
        if not (target.is_file() and cid_of_file(target) == cid):
            os.fchmod(temporary.fileno(), 0o444)
            os.fsync(temporary.fileno())
            Path(temporary.name).replace(target)
        _sync_folder(target.parent)

    def _sweep(self) -> None:
        """Remove our temporary files that no living writer locks."""
        for path in self._temporary_folder.glob("*"):
            try:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            except (BlockingIOError, FileNotFoundError, PermissionError):
                continue

    @contextmanager
    def _reading(self, cid: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ContentNotFound(
                f"{cid} is not in {self.root}. Put the content there, or fetch it from a store that holds it."
            ) from error
        except OSError as error:
            raise ContentError(f"Cannot read {cid} in {self.root}: {error.strerror or error}.") from error


def _copy(source: Path | bytes, target: IO[bytes]) -> str:
    """Write a source to an open file and return its CID, in constant memory."""

    def written(chunks: Iterator[memoryview]) -> Iterator[memoryview]:
        for chunk in chunks:
            target.write(chunk)
            yield chunk

    if isinstance(source, bytes):
        cid = cid_of_chunks(written(cut_bytes(source)))
    else:
        with source.open("rb", buffering=0) as stream:
            cid = cid_of_chunks(written(read_chunks(stream)))
    target.flush()
    return cid


def _check(expected: str, found: str, path: Path) -> None:
    if found != expected:
        raise CorruptContent(
            f"{path} is corrupt: expected {expected}, found {found}. Remove the file and put the content again."
        )


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space there and try again."
    return "Check the path and its permissions and try again."
