"""Fetch a file or folder block by block from several places; each block is verified before it is written."""

import errno
import fcntl
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from atlas import activity
from atlas.content.format.cid import cid_of_bytes, is_leaf
from atlas.content.format.dag import DagNode, parse_node
from atlas.content.local.files import remove_path
from atlas.content.local.store import LocalStore
from atlas.content.places.blocks import LIMITS, Blocks, FetchLimits, Source
from atlas.content.places.health import Health
from atlas.content.places.walking import Leaf, Walk
from atlas.errors import ContentError, CorruptContent
from atlas.ids import Cid

PARALLEL_LEAVES = 4
LEAVES_AHEAD = 8


def fetch(cid: Cid, sources: Sequence[Source], local: LocalStore, health: Health, limits: FetchLimits = LIMITS) -> Path:
    """Fetch a file or folder into `local` and return its path there; an interrupted fetch resumes.

    Raises as `Blocks.get` does, and `ContentError` when the content exceeds `limits`, has a form that our stores do not
    support, or does not fit on the disk. A partial fetch is not visible as content.
    """
    blocks = Blocks(sources, health, limits)
    root = blocks.get(cid)
    node = parse_node(cid, root)
    if is_leaf(cid):
        local.put(root)
        return local.fetch(cid)
    path = local.partial(cid)
    try:
        with _held_alone(path, node, cid, local) as unfinished:
            if unfinished:
                _check_room(cid, node, path)
                _write(Walk(cid, blocks, limits).leaves(node, path), blocks)
                _hand_over(path, cid, local)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remove_path(path)
        raise ContentError(
            f"Cannot write {cid} to {path.parent}: {error.strerror or error}. Free some space there, or check the "
            "permissions, and try again."
        ) from error
    return local.fetch(cid)


def content_bytes(cid: Cid, sources: Sequence[Source], health: Health, limits: FetchLimits = LIMITS) -> int:
    """Bytes of the file, or of all files of the folder, from its inner nodes; raises as `fetch` does."""
    blocks = Blocks(sources, health, limits)
    root = blocks.get(cid)
    node = parse_node(cid, root)
    return len(root) if is_leaf(cid) else Walk(cid, blocks, limits).measure(node)


def _write(leaves: Iterator[Leaf], blocks: Blocks) -> None:
    """Fetch and write leaves, a few in parallel; stops at the first error."""
    with ThreadPoolExecutor(PARALLEL_LEAVES, thread_name_prefix="fetch") as pool:
        pending: deque[Future[int]] = deque()
        try:
            for leaf in leaves:
                if len(pending) == LEAVES_AHEAD:
                    activity.advance(pending.popleft().result())
                pending.append(pool.submit(_write_leaf, leaf, blocks))
            while pending:
                activity.advance(pending.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)


def _write_leaf(leaf: Leaf, blocks: Blocks) -> int:
    """Fetch one leaf, write it at its offset, and return its size in bytes."""
    descriptor = os.open(leaf.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if cid_of_bytes(_read_at(descriptor, leaf.offset, leaf.size)) == leaf.cid:
            return leaf.size  # an earlier fetch wrote it
        data = blocks.get(leaf.cid)
        if len(data) != leaf.size:
            raise ContentError(f"{leaf.cid} has {len(data)} bytes, but its parent node gives {leaf.size}.")
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, memoryview(data)[written:], leaf.offset + written)
        return leaf.size
    finally:
        os.close(descriptor)


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Up to `size` bytes: fewer where the file ends."""
    data = bytearray()
    while len(data) < size and (part := os.pread(descriptor, size - len(data), offset + len(data))):
        data += part
    return bytes(data)


@contextmanager
def _held_alone(path: Path, node: DagNode, cid: Cid, local: LocalStore) -> Iterator[bool]:
    """Block other fetches of the same content; yields False when one of them completed first."""
    flags = os.O_CREAT if node.kind == "file" else os.O_DIRECTORY
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        if node.kind != "file":
            path.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(path, flags | os.O_RDONLY | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            continue  # another fetch finished it, or a sweep removed it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(descriptor, path):
                _make_writable(path)
                yield True
                return
            if local.has(cid):
                yield False
                return
        finally:
            os.close(descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether a path names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _hand_over(path: Path, cid: Cid, local: LocalStore) -> None:
    try:
        local.adopt(path, cid)
    except CorruptContent:
        remove_path(path)  # valid blocks in a tree that our stores do not create, so a retry could not resume from them
        raise


def _make_writable(path: Path) -> None:
    """Make a complete content writable again, if `adopt` made it read-only but could not move it."""
    for place in [path, *path.rglob("*")]:
        place.chmod(0o700 if place.is_dir() else 0o600)


def _check_room(cid: Cid, node: DagNode, path: Path) -> None:
    """Raise `ContentError` early if the content does not fit on the disk, by the size that its root claims."""
    size = sum(node.sizes) or sum(link.tree_bytes for link in node.links)
    there = sum(place.lstat().st_blocks * 512 for place in [path, *path.rglob("*")])
    free = shutil.disk_usage(path).free
    if size > there + free:
        raise ContentError(
            f"{cid} has {size} bytes, but {path.parent} has room for {free} more. Free some space there."
        )
