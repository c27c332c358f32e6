"""Text files: gzip is decompressed, and the encoding comes from a byte order mark or from the settings."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from atlas.errors import DataError

MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
"""Byte order marks; UTF-32-LE comes first, because its mark begins with that of UTF-16-LE."""
GZIP = b"\x1f\x8b"
LONGEST_LINE = 2**26
"""Characters; a longer line is surely not a row, and reading it could exhaust memory."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Convert the exceptions of a reader into a `DataError` that names the file and its kind."""
    try:
        yield
    except UnicodeError as error:
        raise DataError(
            f"Cannot read {path} as {kind}: {error}. Set `encoding` to the encoding that it was written in, such as "
            "latin-1 or cp1252."
        ) from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"Cannot read {path} as {kind}: the gzip file is truncated or damaged ({error}).") from error
    except OSError as error:
        raise DataError(f"Cannot read {path} as {kind}: {error.strerror or error}.") from error


@contextmanager
def open_text(path: Path, encoding: str | None, newline: str) -> Iterator[TextIO]:
    """Open a text file. Bytes that are not UTF-8 become lone surrogates (PEP 383), so that only their row is bad.

    Raises `DataError` for a file that is not text, or whose byte order mark contradicts the settings.
    """
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == GZIP
        unpacked = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw))) if packed else raw
        codec = _codec(path, unpacked, encoding)
        errors = "surrogateescape" if codec == "utf-8-sig" else "strict"
        with io.TextIOWrapper(unpacked, codec, errors=errors, newline=newline) as stream:
            yield stream


def lines_of(stream: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file; raises `DataError` for one of more than 64 Mi characters."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise DataError(f"Line {number} of {path} has more than {LONGEST_LINE:,} characters; no row is that long.")
        yield line


def _codec(path: Path, file: BinaryIO | io.BufferedReader, encoding: str | None) -> str:
    head: bytes = cast(io.BufferedReader, file).peek(64)[:64]
    marked = next((codec for mark, codec in MARKS if head.startswith(mark)), None)
    wanted = codecs.lookup(encoding).name if encoding else None
    if marked is not None:
        if wanted and not wanted.startswith(marked.removesuffix("-sig")):
            raise DataError(
                f"{path} begins with the byte order mark of {marked.removesuffix('-sig').upper()}, but `encoding` is "
                f"{encoding}. Remove the setting."
            )
        return marked
    if wanted in (None, "utf-8"):
        if head[1:8:2] == bytes(4) or head[0:8:2] == bytes(4):
            raise DataError(
                f"{path} is not UTF-8 text: every other byte is zero. It looks like UTF-16 without a byte order mark; "
                "set `encoding` to utf-16-le or utf-16-be."
            )
        if head.startswith((b"PK\x03\x04", b"PAR1")):
            kind = "Parquet; read it as parquet:PATH" if head.startswith(b"PAR1") else "a zip file or a spreadsheet"
            raise DataError(f"{path} is not text but {kind}. Save a spreadsheet as CSV first.")
        return "utf-8-sig"
    return str(wanted)
