"""Rows of a JSONL file: one JSON object a line, in UTF-8."""

import json
from collections.abc import Iterator
from pathlib import Path

from atlas.errors import DataError


def jsonl_rows(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows in file order, blank lines left out; raises `DataError` that names the file and the line."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _parse(line, f"Line {number} of {path}")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error


def _parse(line: bytes, where: str) -> dict[str, object]:
    try:
        row = json.loads(line.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{where} is not JSON in UTF-8: {error}.") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} must be a JSON object, found {type(row).__name__}.")
    return row
