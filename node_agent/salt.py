"""The node's salt: without it, nobody can look a guessed row up in what the node commits to."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from node_agent.errors import NodeError

SALT_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_or_create_salt(path: Path) -> bytes:
    """Read the 32 bytes at `path`; on first use draw them (file mode 600, new folders 700).

    Two processes that race for the same path get the same salt. Raises `NodeError` when others can read the file, or
    it is not a salt.
    """
    if not path.exists():
        _create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise NodeError(
            f"The salt {path} has mode {mode:o}, so others may have read it; expected 600. Run: chmod 600 {path}, or "
            "remove it if it was exposed; the node's data is then registered anew."
        )
    salt = path.read_bytes()
    if len(salt) != SALT_BYTES:
        raise NodeError(
            f"The salt {path} has {len(salt)} bytes, expected {SALT_BYTES}. Restore it from a backup, or remove it; "
            "the node's data is then registered anew."
        )
    return salt


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SALT_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its salt is the one
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
