"""Choose the reader of a source by its prefix or file type."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from atlas.data.sources.csv_file import csv_rows, tsv_rows
from atlas.data.sources.files import Files, find_files
from atlas.data.sources.hub import hub_rows
from atlas.data.sources.json_file import json_rows
from atlas.data.sources.jsonl_file import jsonl_rows
from atlas.data.sources.parquet_file import parquet_rows
from atlas.data.sources.source_row import RowLocation, SourceRow, Wanted
from atlas.data.sources.vader import vader_rows
from atlas.errors import DataError

PACKAGES: dict[str, Callable[[Path], Iterator[dict[str, object]]]] = {"vader-sentiment": vader_rows}
READERS: dict[str, Callable[[Path, Wanted], Iterator[SourceRow]]] = {
    "csv": csv_rows,
    "tsv": tsv_rows,
    "json": json_rows,
    "jsonl": jsonl_rows,
    "parquet": parquet_rows,
}


def read_source(source: str, cache: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """The wanted columns of a source's rows in the source's order; downloads go to `cache`.

    `source` is `package:NAME`, `hub:ORG/NAME[:SPLIT]`, or a path as in `find_files`. Raises `DataError` when the source
    is unknown, unreachable or malformed; some errors appear only while the rows are read.
    """
    kind, _, name = source.partition(":")
    if kind == "package" and name in PACKAGES:
        return _package_rows(PACKAGES[name](cache), source, wanted)
    if kind == "hub":
        return hub_rows(name, cache, wanted)
    files = find_files(source)
    if files is not None:
        return _file_rows(files, wanted)
    raise DataError(
        f"The dataset source {source!r} is unknown. Give {', '.join(f'package:{known}' for known in PACKAGES)}, "
        "hub:ORG/NAME[:SPLIT], or the path of a .csv, .tsv, .json, .jsonl or .parquet file, a folder or a glob of them."
    )


def _file_rows(files: Files, wanted: Wanted) -> Iterator[SourceRow]:
    wanted = replace(wanted, several=len(files.paths) > 1)
    for path in files.paths:
        yield from READERS[files.kind](path, wanted)


def _package_rows(rows: Iterator[dict[str, object]], source: str, wanted: Wanted) -> Iterator[SourceRow]:
    place = RowLocation()
    for number, row in enumerate(rows, 1):
        if number == 1:
            wanted.find(list(row), source)
        yield SourceRow(number, place, row)
