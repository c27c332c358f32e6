"""Sealed files: AES-256-GCM in frames, so that a file of any size is written and read in constant memory.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizar, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015) as age uses it for payloads:

    header   magic and version (8 bytes), id of the dataset key (8), salt (32)
    frames   64 KiB of the file each, the last one shorter or as long, and 16 bytes of tag

    salt      = HMAC-SHA256(dataset key, "atlas sealed salt v1" ‖ SHA-256(file) ‖ name)
    file key  = HKDF-SHA256(dataset key, salt, "atlas sealed file v1")
    nonce     = number of the frame from 0 (11 bytes, big endian) ‖ 1 for the last frame, else 0

The header is associated data of every frame. The salt is a function of key, file and name: the same file under the same
key and name gives the same bytes, and two files never share a file key, so no nonce repeats under one key.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atlas import activity
from atlas.disk.files import new_file
from atlas.errors import ContentError, SealError

MAGIC = b"ATLSEAL\x01"
KEY_BYTES = 32
FRAME_BYTES = 64 * 1024
TAG_BYTES = 16
_ID_BYTES = 8
_SALT_BYTES = 32
HEADER_BYTES = len(MAGIC) + _ID_BYTES + _SALT_BYTES


@dataclass(frozen=True)
class DatasetKey:
    """A key that shards are sealed with. It never leaves the coordinator."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """16 hex digits that identify the key without revealing it."""
        return hashlib.sha256(b"atlas dataset key id v1" + self.secret).digest()[:_ID_BYTES].hex()


@dataclass(frozen=True)
class SealHeader:
    """The unencrypted header of a sealed file."""

    key_id: str
    salt: bytes

    def to_bytes(self) -> bytes:
        """The header as encoded at the start of the file."""
        return MAGIC + bytes.fromhex(self.key_id) + self.salt


def read_header(sealed: Path) -> SealHeader:
    """The header of a sealed file; raises `SealError` if the file is not sealed, `ContentError` if it is unreadable."""
    try:
        with sealed.open("rb") as stream:
            return _read_header(stream, sealed)
    except OSError as error:
        raise ContentError(f"Cannot read the sealed file {sealed}: {error.strerror or error}.") from error


def file_key(key: DatasetKey, header: SealHeader) -> bytes:
    """The key of this sealed file only; raises `SealError` when it was sealed with another dataset key."""
    if key.id != header.key_id:
        raise SealError(f"The file is sealed with key {header.key_id}, not with {key.id}.")
    return HKDF(SHA256(), KEY_BYTES, header.salt, b"atlas sealed file v1").derive(key.secret)


def seal_file(source: IO[bytes], name: str, key: DatasetKey, target: IO[bytes]) -> None:
    """Encrypt `source`, which is read twice from its start, to `target`. `name` distinguishes files with equal content.

    Raises `SealError` when the source changes between the reads; `target` must not be used then.
    """
    digest = _digest(source)
    salt = hmac.digest(key.secret, b"atlas sealed salt v1" + digest + name.encode(), "sha256")
    header = SealHeader(key.id, salt)
    cipher, again = AESGCM(file_key(key, header)), hashlib.sha256()
    target.write(header.to_bytes())
    source.seek(0)
    for number, (frame, last) in enumerate(_frames(source, FRAME_BYTES)):
        again.update(frame)
        target.write(cipher.encrypt(_nonce(number, last), frame, header.to_bytes()))
    if again.digest() != digest:
        raise SealError(
            f"The file of {name} changed while it was sealed. Make sure that nothing writes to it, and try again."
        )


def open_sealed(sealed: Path, key: bytes, target: Path) -> None:
    """Decrypt a sealed file to `target` (mode 600), which is written atomically.

    `key` is the file's own (`file_key`). Raises `SealError` when the file was altered, truncated or extended, or the
    key belongs to another file; `ContentError` when it cannot be read or written.
    """
    with new_file(target, ContentError) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as rows:
            for frame in opened_frames(sealed, key):
                rows.write(frame)


def opened_frames(sealed: Path, key: bytes) -> Iterator[bytes]:
    """Yield the decrypted pieces of a sealed file, each verified; truncation is only detected at the last piece.

    Raises `SealError` as `open_sealed` does, and `OSError`.
    """
    with sealed.open("rb") as stream:
        header = _read_header(stream, sealed).to_bytes()
        cipher = AESGCM(key)
        for number, (frame, last) in enumerate(_frames(stream, FRAME_BYTES + TAG_BYTES)):
            activity.advance(len(frame))
            if number and len(frame) <= TAG_BYTES:
                raise SealError(f"{sealed} ends with an empty frame, which no sealed file of its size has.")
            try:
                yield cipher.decrypt(_nonce(number, last), frame, header)
            except InvalidTag as error:
                raise SealError(
                    f"{sealed} cannot be opened: frame {number} was altered, moved or truncated, or the key is not "
                    "the one that sealed it."
                ) from error


def _frames(stream: IO[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of `size` bytes, and whether each is the last one; an empty stream has one empty piece."""
    frame = _read(stream, size)
    while True:
        following = _read(stream, size) if len(frame) == size else b""
        yield frame, not following
        if not following:
            return
        frame = following


def _read(stream: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end."""
    pieces, missing = [], size
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _digest(source: IO[bytes]) -> bytes:
    source.seek(0)
    digest = hashlib.sha256()
    while piece := source.read(FRAME_BYTES):
        digest.update(piece)
    return digest.digest()


def _read_header(stream: IO[bytes], sealed: Path) -> SealHeader:
    data = _read(stream, HEADER_BYTES)
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        raise SealError(f"{sealed} is not a sealed file of version 1: its first {HEADER_BYTES} bytes are not a header.")
    rest = data[len(MAGIC) :]
    return SealHeader(rest[:_ID_BYTES].hex(), rest[_ID_BYTES:])
