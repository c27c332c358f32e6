"""Files that only their owner may read: there whole or not at all, also after a power cut."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from atlas.content.local_files import sync


def create_private_file(path: Path, data: bytes) -> None:
    """Write a new file (mode 600, new folders 700); of several who race, the first one's stays."""
    temporary = _written(path, data)
    try:
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    sync(path.parent)


def replace_private_file(path: Path, data: bytes) -> None:
    """Write a file (mode 600, new folders 700) in place of what was there."""
    temporary = _written(path, data)
    try:
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def _written(path: Path, data: bytes) -> Path:
    """A synced file beside `path`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary
