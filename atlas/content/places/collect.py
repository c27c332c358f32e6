"""Garbage collection: the caller chooses what to remove; this module refuses to remove anything in use."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.content.store import HeldContent, KeptStore
from atlas.errors import ContentError, ContentNotFound
from atlas.ids import Cid


@dataclass(frozen=True)
class Collected:
    """The result of a collection, or of a dry run."""

    removed: tuple[HeldContent, ...]
    kept: int
    """Contents that are needed."""
    waiting: int
    """Contents that are not needed, but are pinned or were used recently."""

    @property
    def bytes(self) -> int:
        """Bytes that the removed copies took on this machine."""
        return sum(one.size for one in self.removed)


def collect(
    store: KeptStore,
    keep: Container[Cid],
    unused_since: float,
    dry_run: bool = False,
    on_removed: Callable[[HeldContent], None] = lambda _: None,
) -> Collected:
    """Remove every copy that is not in `keep`, not pinned, and not used after `unused_since` (seconds since the epoch).

    `unused_since` must be earlier than the time when `keep` was compiled, so that content which came into use since
    then counts as used. Raises `ContentError` when a copy cannot be removed; earlier removals stand.
    """
    removed, kept, waiting = [], 0, 0
    for one in list(store.held()):
        if one.cid in keep:
            kept += 1
        elif one.pinned or one.used_at > unused_since or not (dry_run or _remove(store, one, unused_since)):
            waiting += 1
        else:
            removed.append(one)
            on_removed(one)
    return Collected(tuple(removed), kept, waiting)


def _remove(store: KeptStore, one: HeldContent, unused_since: float) -> bool:
    """Remove a copy and return whether it is gone; the store refuses if the copy has just come into use."""
    freed = store.remove(one.cid, unused_since)
    return freed > 0 or one.size == 0


def peek(folder: Path, cid: Cid) -> bytes | None:
    """The bytes of a copy in a local store's folder, without marking it as used; None when it is missing or corrupt."""
    path = folder / cid[-2:] / cid
    try:
        data = path.read_bytes()
        return data if cid_of_bytes(data) == cid else None
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_dir():
            return None
        raise ContentError(f"Cannot read {path}: {error.strerror or error}.") from error


class PeekStore(LocalStore):
    """The copies in a folder, read without marking them as used."""

    def read(self, cid: Cid) -> bytes:
        """The bytes of a copy; raises `ContentNotFound` when it is missing or corrupt."""
        data = peek(self.root, cid)
        if data is None:
            raise ContentNotFound(f"{cid} is not in {self.root}, or its copy is damaged.")
        return data


def local_folder(store: object) -> Path:
    """The folder of a store's copies on this machine."""
    local = getattr(store, "local", store)
    if not isinstance(local, LocalStore):
        raise ContentError(f"{type(store).__name__} keeps no copies on this machine, so there is nothing to collect.")
    return local.root
