"""File operations of a store: copy while hashing, make durable and read-only, remove."""

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

from atlas.content.format.cid import cid_of_chunks, cid_text
from atlas.content.format.unixfs import CHUNK_BYTES, cut_bytes, nodes_of_path, read_chunks
from atlas.disk.files import sync
from atlas.ids import Cid

WRITE_BACK_BYTES = 4 << 20
"""Bytes between two starts of write-back. A single sync at the end would take a third of the total time."""
SYNCS_AT_ONCE = 16


def copy_path(source: Path | bytes, target: Path) -> dict[Path, Cid]:
    """Write a file, folder or bytes to `target`; returns the CID of the copy and of everything in it.

    The bytes are hashed in the same pass in which they are written, in constant memory. Raises as `cid_of_folder` does.
    """
    if isinstance(source, bytes):
        with target.open("xb", buffering=0) as writer:
            return {target: cid_of_chunks(_written(cut_bytes(source), writer))}

    def copied(path: Path) -> Iterator[memoryview]:
        return _copied(path, target / path.relative_to(source))

    roots = {}
    for place, node in nodes_of_path(source, copied):
        copy = target / place.relative_to(source)
        if copy not in roots and place.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        roots[copy] = node.cid
    return {copy: cid_text(cid) for copy, cid in roots.items()}


def _copied(source: Path, target: Path) -> Iterator[memoryview]:
    """The chunks of a file, each written to `target`; a helper copies the next one while the caller hashes this one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        chunks = _written(read_chunks(reader, buffers=2), writer)
        chunk = next(chunks, None)
        if chunk is None or len(chunk) < CHUNK_BYTES:
            yield from [] if chunk is None else [chunk]
            return
        with ThreadPoolExecutor(1) as helper:
            while chunk is not None:
                following = helper.submit(next, chunks, None)
                yield chunk
                chunk = following.result()


def _written(chunks: Iterable[memoryview], writer: FileIO) -> Iterator[memoryview]:
    """Yield the same chunks, each after it is written; write-back starts along the way."""
    begun = 0
    for chunk in chunks:
        done = 0
        while done < len(chunk):
            done += writer.write(chunk[done:])
        if writer.tell() - begun >= WRITE_BACK_BYTES:
            # On Linux this starts write-back of dirty pages, and keeps them in memory until they are written.
            os.posix_fadvise(writer.fileno(), begun, writer.tell() - begun, os.POSIX_FADV_DONTNEED)
            begun = writer.tell()
        yield chunk


def freeze(path: Path) -> None:
    """Make a file, or all in a folder, durable and read-only; the folder itself can still be moved."""
    if not path.is_dir():
        _freeze_file(path)
        return
    found = list(os.walk(path, topdown=False))
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as helpers:  # the file system combines several syncs in one commit
        for _ in helpers.map(_freeze_file, [Path(folder, name) for folder, _, files in found for name in files]):
            pass
    for folder, folders, _ in found:
        for name in folders:
            Path(folder, name).chmod(0o555)
        sync(Path(folder))


def _freeze_file(path: Path) -> None:
    path.chmod(0o444)
    sync(path)


def make_folder(folder: Path) -> None:
    """Create a folder durably; its parent must exist."""
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or a read-only folder, which stays read-only; `target` must not exist."""
    if not source.is_dir():
        source.rename(target)
        return
    source.chmod(0o755)  # its entry `..` changes
    source.rename(target)
    target.chmod(0o555)


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which identify a file or folder even if its path is reused; None when it does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def remove_path(path: Path) -> None:
    """Remove a file, or a folder whose parts may be read-only; no effect if it does not exist."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    shutil.rmtree(path)


def bytes_in(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(Path(folder, name).lstat().st_size for folder, _, files in os.walk(path) for name in files)
