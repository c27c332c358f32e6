"""Sealed rows on the coordinator, which holds the keys: sealing a dataset, and reading it again."""

from pathlib import Path
from typing import IO, TYPE_CHECKING

from atlas.content.sealed.sealing import open_sealed, opened_frames, seal_file
from atlas.content.store import ContentStore
from atlas.documents.manifests import ShardManifest
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.spec.dataset import DatasetSpec
from resources.keys.keyring import KeyRings

if TYPE_CHECKING:
    from atlas.data.prepare import Seal


def sealer_for(spec: DatasetSpec, home: AtlasHome) -> "Seal | None":
    """The function that seals a dataset's shards, all with one key; None for a dataset without a key ring.

    The ring is created on first use. Raises `KeyRingError`.
    """
    if spec.keyring is None:
        return None
    key = KeyRings(home).ensure(spec.keyring).newest

    def seal(rows: IO[bytes], name: str, target: IO[bytes]) -> None:
        seal_file(rows, name, key, target)

    return seal


def open_rows(rows: ShardManifest, spec: DatasetSpec, home: AtlasHome, store: ContentStore, folder: Path) -> Path:
    """The rows of a shard, the held-out rows or the reference rows: fetched, and if sealed, opened into `folder`.

    Raises `ContentError`, `KeyRingError`, and `SealError` for a file that is not sealed, or was altered.
    """
    path = store.fetch(rows.cid)
    if rows.form == "rows" or spec.keyring is None:
        return path
    opened = folder / f"{rows.key}.jsonl"
    open_sealed(path, KeyRings(home).get(spec.keyring).file_key(path), opened)
    return opened


def count_sealed_rows(data: Cid, spec: DatasetSpec, home: AtlasHome, store: ContentStore) -> int | None:
    """Rows in a sealed shard; None if the dataset's key ring is not on this machine. Raises as `open_rows` does."""
    rings = KeyRings(home)
    if spec.keyring is None or spec.keyring not in rings.names():
        return None
    sealed = store.fetch(data)
    return sum(frame.count(b"\n") for frame in opened_frames(sealed, rings.get(spec.keyring).file_key(sealed)))
