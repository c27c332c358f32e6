"""The answer to an audit: a proof that somebody has read the bytes of a content after the question was asked."""

import hashlib
from pathlib import Path

from atlas.errors import ContentError

_CHUNK_BYTES = 1 << 20


def audit_answer(nonce: bytes, content: Path) -> bytes:
    """SHA-256(nonce ‖ content), 32 bytes, of a file; raises `ContentError` for a folder, which has no bytes."""
    if not content.is_file():
        raise ContentError(f"{content} is not a file, so it cannot be audited.")
    digest = hashlib.sha256(nonce)
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()
