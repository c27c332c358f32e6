"""The node's salt, which keeps others from testing guessed rows against the node's commitments."""

import secrets
import stat
from pathlib import Path

from atlas.disk.private_file import create_private_file
from node_agent.errors import NodeError

SALT_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_or_create_salt(path: Path) -> bytes:
    """Read the 32 bytes at `path`; on first use, generate them (file mode 600, new folders 700).

    Two processes that race for the same path get the same salt. Raises `NodeError` when others can read the file, or it
    is not a salt.
    """
    if not path.exists():
        create_private_file(path, secrets.token_bytes(SALT_BYTES))
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise NodeError(
            f"The salt {path} has mode {mode:o}, so others may have read it; expected 600. Run: chmod 600 {path}, or "
            "remove it if it was exposed; the node's data is then registered again."
        )
    salt = path.read_bytes()
    if len(salt) != SALT_BYTES:
        raise NodeError(
            f"The salt {path} has {len(salt)} bytes, expected {SALT_BYTES}. Restore it from a backup, or remove it; "
            "the node's data is then registered again."
        )
    return salt
