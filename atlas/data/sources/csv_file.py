"""Rows of a CSV file: the first line names the columns, every value is text."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from atlas.counts import counted
from atlas.data.bad_rows import BadRow
from atlas.data.sources.source_row import SourceRow, Wanted
from atlas.data.sources.text_file import lines_of, open_text, reading
from atlas.errors import DataError
from atlas.spec.partition_names import nfc

LONGEST_FIELD = 2**24
"""Characters. The csv module's default is 128 KiB; without a limit, an unclosed quote reads the whole file."""
SEPARATORS = ",;\t|"
SAMPLE_LINES = 50
NO_HEADER = " A file without a header needs one: a first line that names the columns."


class _Reader(Protocol):
    """The type of a `csv.reader`."""

    line_num: int

    def __next__(self) -> list[str]: ...


def csv_rows(path: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """Yield the rows in file order, each with the line on which it begins.

    A row with more or fewer cells than the header is a bad row. Raises `DataError` that names the file, and the line
    of a quote that is never closed.
    """
    csv.field_size_limit(LONGEST_FIELD)
    place = wanted.place("line", str(path))
    with reading(path, "CSV"), open_text(path, wanted.encoding, newline="") as stream:
        lines = lines_of(stream, path)
        head = list(islice(lines, SAMPLE_LINES))
        separator = wanted.separator or find_separator(head, list(wanted.columns))
        records = _records(csv.reader(chain(head, lines), delimiter=separator, strict=True), path)
        columns: Sequence[str] = []
        for line, cells, problem in records:
            if not columns:
                columns = _header(cells, problem, path)
                places = wanted.find(columns, str(path), NO_HEADER)
            elif problem is not None:
                yield SourceRow(line, place, {}, problem)
            elif len(cells) != len(columns):
                yield SourceRow(line, place, {}, _uneven(len(cells), columns))
            else:
                yield SourceRow(line, place, {column: cells[index] for column, index in places.items()})
        if not columns:
            raise DataError(f"{path} is empty; expected a first line that names the columns.")


def tsv_rows(path: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """As `csv_rows`, with a tab between the cells unless the settings name another separator."""
    separator = wanted.separator or "\t"
    return csv_rows(path, Wanted(wanted.columns, separator, wanted.encoding, wanted.prefix, wanted.several))


def find_separator(head: Sequence[str], wanted: Sequence[str]) -> str:
    """The best separator: the header has the wanted columns, and most sampled lines have as many cells as the header.

    Python's `csv.Sniffer` is not used, because it mistakes letters for separators in long texts.
    """
    return max(SEPARATORS, key=lambda separator: _fit(_sample(head, separator), wanted))


def _fit(rows: list[list[str]], wanted: Sequence[str]) -> tuple[bool, float, int]:
    header = [nfc(cell) for cell in rows[0]] if rows else []
    even = sum(len(row) == len(header) for row in rows) / max(len(rows), 1)
    return all(nfc(column) in header for column in wanted), even, len(header)


def _sample(head: Sequence[str], separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in csv.reader(head, delimiter=separator) if row)
    except csv.Error:
        return rows
    return rows


def _records(reader: "_Reader", path: Path) -> Iterator[tuple[int, list[str], BadRow | None]]:
    """Each record's first line number, cells, and problem with its quotes, if any; blank lines are skipped."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > line or "unexpected end" in str(error):
                raise DataError(
                    f"Line {line} of {path} opens a quote that is not closed in the "
                    f"{counted(reader.line_num - line + 1, 'line')} "
                    f"from there ({error}). Close it, or write a quote inside a text twice."
                ) from error
            yield line, [], BadRow(f"is not valid CSV: {error}", "separator")
        else:
            if cells:
                yield line, cells, None


def _header(cells: list[str], problem: BadRow | None, path: Path) -> list[str]:
    if problem is not None:
        raise DataError(f"The first line of {path} {problem}.{NO_HEADER}")
    return cells


def _uneven(cells: int, columns: Sequence[str]) -> BadRow:
    return BadRow(
        f"has {counted(cells, 'cell')}, expected {len(columns)}: {', '.join(columns):.200}; check quotes", "separator"
    )
