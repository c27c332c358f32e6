"""Rows of a CSV file: UTF-8, the first line names the columns, every value is text."""

import csv
from collections.abc import Iterator
from pathlib import Path

from atlas.errors import DataError

LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit is 128 KiB


def csv_rows(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows in file order; raises `DataError` that names the file and the row that is malformed."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns = next(reader, [])
            if len(set(columns)) != len(columns):
                raise DataError(f"{path} names a column twice: {', '.join(columns)}. Give each column its own name.")
            for number, cells in enumerate((cells for cells in reader if cells), 1):
                if len(cells) != len(columns):
                    raise DataError(
                        f"Row {number} of {path} (line {reader.line_num}) has {len(cells)} cells, expected "
                        f"{len(columns)}: {', '.join(columns)}. Check its commas and quotes."
                    )
                yield dict(zip(columns, cells, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Cannot read {path} as CSV in UTF-8: {error}.") from error
