"""The current version of a source, found without parsing its rows and without an earlier version."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from atlas.content.format.cid import cid_of_bytes, cid_of_file
from atlas.data.sources import vader
from atlas.data.sources.files import find_files
from atlas.data.sources.hub import NAME
from atlas.data.sources.read import PACKAGES
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec

PACKAGE_VERSIONS = {"vader-sentiment": f"sha256:{vader.SHA256}"}
SETTLED_SECONDS = 2.0
"""Two writes within one clock tick of the file system leave the same time, so younger files are always read again."""
HUB_SECONDS = 15.0


def source_fingerprint(spec: DatasetSpec, cache: Path, clock: Callable[[], float] = time.time) -> str | None:
    """A text that changes when the source does: a CID of its files, a package's pinned hash, a hub's revision.

    None for data that stays on its nodes. CIDs are cached in `cache`; a file with unchanged size and time is not read
    again. Raises `DataError` when the source is unknown or missing, or the hub cannot be reached.
    """
    if spec.node_local is not None:
        return None
    kind, _, name = spec.source.partition(":")
    if kind == "package" and name in PACKAGES:
        return PACKAGE_VERSIONS[name]
    if kind == "hub":
        return _hub_revision(name)
    files = find_files(spec.source)
    paths = files.paths if files else [Path(spec.source).expanduser()]
    versions = [_file_version(path.absolute(), cache / "fingerprints", clock) for path in paths]
    if len(versions) == 1:
        return versions[0]
    return cid_of_bytes(json.dumps([[str(path), cid] for path, cid in zip(paths, versions, strict=True)]).encode())


def short_version(fingerprint: str) -> str:
    """The first eight hex digits of a fingerprint's SHA-256, for use in names."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:8]


def _hub_revision(name: str) -> str:
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"The dataset source 'hub:{name}' is malformed. Expected hub:ORG/NAME or hub:ORG/NAME:SPLIT.")

    from huggingface_hub import HfApi
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # whichever HTTP client the library uses

    try:
        revision = HfApi().dataset_info(match["repository"], timeout=HUB_SECONDS).sha
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise DataError(
            f"Cannot read the revision of hub:{name}: {error}. Check its name, the network and HF_HUB_OFFLINE."
        ) from error
    if revision is None:
        raise DataError(f"The hub returned no revision of hub:{name}. Try again later.")
    return revision


def _file_version(path: Path, memory: Path, clock: Callable[[], float]) -> str:
    """The CID of a file; the file is read again only if its size or time has changed or it was written just now."""
    note = memory / f"{hashlib.sha256(str(path).encode()).hexdigest()}.json"
    try:
        seen = _identity(path)
        known = _remembered(note)
        if known is not None and known["identity"] == seen:
            return str(known["cid"])
        cid = cid_of_file(path)
        if _identity(path) == seen and clock() - path.stat().st_mtime > SETTLED_SECONDS:
            _remember(note, {"path": str(path), "identity": seen, "cid": cid})
    except OSError as error:
        raise DataError(f"Cannot read the dataset {path}: {error.strerror or error}.") from error
    return cid


def _identity(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _remembered(note: Path) -> dict[str, object] | None:
    try:
        found = json.loads(note.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"identity", "cid"} <= found.keys() else None


def _remember(note: Path, what: dict[str, object]) -> None:
    """Write a note atomically; a note lost in a power failure is computed again."""
    note.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
        json.dump(what, file)
    Path(file.name).replace(note)
