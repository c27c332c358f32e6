"""The input and output of readers: the wanted columns, and rows with their places."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from atlas.data.bad_rows import BadRow
from atlas.errors import DataError
from atlas.spec.partition_names import nfc

MOST_COLUMNS_SHOWN = 30


class RowLocation(NamedTuple):
    """The unit that places are counted in (lines or rows), and the file's name if there are several files."""

    unit: str = "row"
    file: str | None = None

    def of(self, number: int) -> str:
        """The place of one row, from 1: `line 3 of part-2.csv`."""
        return f"{self.unit} {number}" + (f" of {self.file}" if self.file else "")


class SourceRow(NamedTuple):
    """The values of the wanted columns, or why the row has none."""

    number: int
    place: RowLocation
    values: Mapping[str, object]
    problem: BadRow | None = None


@dataclass(frozen=True)
class Wanted:
    """The wanted columns, each with the setting that names it, and the format of text files."""

    columns: Mapping[str, str]
    separator: str | None = None
    encoding: str | None = None
    prefix: str = "dataset."
    """The prefix of a setting's name in errors."""
    several: bool = field(default=False)
    """Whether the rows come from several files, so that a place needs the file's name."""

    def place(self, unit: str, file: str) -> RowLocation:
        """The location of the rows of a file."""
        return RowLocation(unit, file if self.several else None)

    def find(self, names: Sequence[str], where: str, hint: str = "") -> dict[str, int]:
        """The position of each wanted column among a table's columns, compared in normal form C.

        Raises `DataError` for a wanted column that is missing or duplicate; other duplicates are ignored.
        """
        found = [nfc(name) for name in names]
        for column in self.columns:
            count = found.count(nfc(column))
            if count > 1:
                raise DataError(f"{where} has {count} columns {column!r}. Give each column that is used its own name.")
            if count == 0:
                raise DataError(
                    f"{where} has {self.missing(column, names)}. Set {self.prefix}{self.columns[column]} to one of "
                    f"them.{hint}"
                )
        return {column: found.index(nfc(column)) for column in self.columns}

    def missing(self, column: str, names: Sequence[str]) -> str:
        """The error text for a missing column, with the columns that were found."""
        shown = ", ".join(map(repr, names[:MOST_COLUMNS_SHOWN])) or "none"
        more = f" and {len(names) - MOST_COLUMNS_SHOWN} more" if len(names) > MOST_COLUMNS_SHOWN else ""
        close = difflib.get_close_matches(column, names, 1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        return f"no column {column!r}; found the columns {shown}{more}{guess}"
