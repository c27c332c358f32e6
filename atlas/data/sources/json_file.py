"""Rows of a JSON file: an array of objects, or objects one after the other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from atlas.data.sources.json_values import decoder, row_of
from atlas.data.sources.source_row import SourceRow, Wanted
from atlas.data.sources.text_file import LONGEST_LINE, open_text, reading
from atlas.errors import DataError

PIECE = 2**20
"""Characters that are read at a time; memory holds one whole row, never the whole file."""
SPACE = re.compile(r"[ \t\r\n]*")


def json_rows(path: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """Yield the rows in file order, counted from 1; raises `DataError` that names the file and the row."""
    place = wanted.place("row", str(path))
    with reading(path, "JSON"), open_text(path, wanted.encoding, newline="") as stream:
        for number, value in enumerate(_values(stream, path), 1):
            yield row_of(value, number, place, wanted)


def _values(stream: TextIO, path: Path) -> Iterator[object]:
    text = _Window(stream, path)
    in_array = text.take("[")
    number = 0
    while not text.at_end():
        if in_array and text.take("]"):
            break
        number += 1
        if in_array and number > 1 and not text.take(","):
            raise DataError(f"{path} is not valid JSON: expected a comma or ] after row {number - 1}.")
        yield text.value(number)
    else:
        if in_array:
            raise DataError(f"{path} is truncated: its array is not closed after row {number}.")
    if not text.at_end():
        raise DataError(f"{path} is not valid JSON: there is text after the end of its array.")


class _Window:
    """The part of a stream that is being parsed."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self._text, self._place, self._whole = "", 0, False

    def at_end(self) -> bool:
        """Whether nothing but white space is left."""
        while True:
            self._place = SPACE.match(self._text, self._place).end()  # type: ignore[union-attr] # matches always
            if self._place < len(self._text) or not self._more(PIECE):
                return self._place == len(self._text)

    def take(self, mark: str) -> bool:
        """Skip the character `mark` and return True, if it comes next."""
        if self.at_end() or self._text[self._place] != mark:
            return False
        self._place += 1
        return True

    def value(self, number: int) -> object:
        """The next JSON value; `number` is the row's number, for errors."""
        self.at_end()
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._place)
            except RecursionError as error:
                raise DataError(f"Row {number} of {self._path} is nested too deeply.") from error
            except ValueError as error:
                self._read_on(number, error)
                continue
            if end == len(self._text) and self._more(PIECE):
                continue  # a number may continue in the next piece
            self._place = end
            return value

    def _read_on(self, number: int, error: ValueError) -> None:
        """Read more of an incomplete row; raises `DataError` at the end of the file, or if the row is too long."""
        held = len(self._text) - self._place
        if held > LONGEST_LINE or not self._more(max(PIECE, held)):
            what = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise DataError(f"Row {number} of {self._path} is not JSON: {what}.") from error

    def _more(self, count: int) -> bool:
        piece = "" if self._whole else self._stream.read(count)
        self._whole = not piece
        self._text = self._text[self._place :] + piece
        self._place = 0
        return bool(piece)
