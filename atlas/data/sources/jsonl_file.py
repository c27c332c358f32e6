"""Rows of a JSONL file: one JSON object a line."""

from collections.abc import Iterator
from pathlib import Path

from atlas.data.bad_rows import BadRow
from atlas.data.sources.json_values import decoder, row_of
from atlas.data.sources.source_row import SourceRow, Wanted
from atlas.data.sources.text_file import lines_of, open_text, reading


def jsonl_rows(path: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """Yield the rows in file order, blank lines left out; a line that is no JSON object is a bad row.

    Raises `DataError` that names the file.
    """
    place = wanted.place("line", str(path))
    with reading(path, "JSONL"), open_text(path, wanted.encoding, newline="\n") as stream:
        for number, line in enumerate(lines_of(stream, path), 1):
            if line.strip():
                try:
                    value = decoder.decode(line)
                except RecursionError:
                    yield SourceRow(number, place, {}, BadRow("is nested too deeply"))
                except ValueError as error:
                    hint = "; a file with one JSON array is read as json:PATH" if line.strip() == "[" else ""
                    yield SourceRow(number, place, {}, BadRow(f"is not JSON: {error}{hint}"))
                else:
                    yield row_of(value, number, place, wanted)
