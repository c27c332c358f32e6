"""A file, folder or stream as the multipart body that Kubo's RPC reads, in constant memory."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from atlas import activity
from atlas.errors import ContentError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A request body, which can be sent once, and its headers."""

    body: Iterator[bytes]
    headers: dict[str, str]


def path_upload(path: Path) -> Upload:
    """A file, or a whole folder sorted by name. Sending raises `ContentError` if a file cannot be read."""
    boundary = _boundary()
    return Upload(_body(_path_parts(path, "content", boundary), str(path), boundary), _headers(boundary))


def stream_upload(pieces: Iterable[bytes]) -> Upload:
    """One file given as its pieces. Sending raises the errors of `pieces`; `OSError` becomes `ContentError`."""
    boundary = _boundary()
    return Upload(_body(_file_part("content", pieces, boundary), "a stream", boundary), _headers(boundary))


def _boundary() -> str:
    """A random boundary, so that no content can contain it and end its part early."""
    return f"atlas-{secrets.token_hex(16)}"


def _headers(boundary: str) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def _body(parts: Iterator[bytes], what: str, boundary: str) -> Iterator[bytes]:
    try:
        yield from parts
    except OSError as error:  # otherwise it would look like a connection failure
        raise ContentError(f"Cannot read {what} to send it: {error.strerror or error}.") from error
    yield f"--{boundary}--\r\n".encode()


def _path_parts(path: Path, name: str, boundary: str) -> Iterator[bytes]:
    if path.is_dir():
        yield _head(name, "application/x-directory", boundary) + b"\r\n"
        for child in sorted(path.iterdir(), key=lambda child: child.name.encode()):
            yield from _path_parts(child, f"{name}/{child.name}", boundary)
    else:
        yield from _file_part(name, _pieces(path), boundary)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            activity.advance(len(piece))
            yield piece


def _file_part(name: str, pieces: Iterable[bytes], boundary: str) -> Iterator[bytes]:
    yield _head(name, "application/octet-stream", boundary)
    yield from pieces
    yield b"\r\n"


def _head(name: str, kind: str, boundary: str) -> bytes:
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quote(name, safe="")}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()
