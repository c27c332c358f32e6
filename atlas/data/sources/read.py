"""Choosing the reader of a source by its text."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from atlas.data.sources.csv_file import csv_rows
from atlas.data.sources.hub import hub_rows
from atlas.data.sources.jsonl_file import jsonl_rows
from atlas.data.sources.parquet_file import parquet_rows
from atlas.data.sources.vader import vader_rows
from atlas.errors import DataError

SourceRow = Mapping[str, object]

PACKAGES: dict[str, Callable[[Path], Iterator[SourceRow]]] = {"vader-sentiment": vader_rows}
FILES: dict[str, Callable[[Path], Iterator[SourceRow]]] = {
    "csv": csv_rows,
    "jsonl": jsonl_rows,
    "parquet": parquet_rows,
}


def read_source(source: str, cache: Path) -> Iterator[SourceRow]:
    """The rows of a source in its own order; downloads go to `cache`.

    `source` is `package:NAME`, `hub:ORG/NAME[:SPLIT]`, a path that ends in .csv, .jsonl or .parquet, or such a path
    behind `csv:`, `jsonl:` or `parquet:`. Raises `DataError` when it is unknown, unreachable or malformed, in part
    only while the rows are read.
    """
    kind, _, name = source.partition(":")
    if kind == "package" and name in PACKAGES:
        return PACKAGES[name](cache)
    if kind == "hub":
        return hub_rows(name, cache)
    if kind in FILES:
        return FILES[kind](Path(name).expanduser())
    path = Path(source).expanduser()
    if path.suffix.lower()[1:] in FILES and kind != "package":
        return FILES[path.suffix.lower()[1:]](path)
    raise DataError(
        f"The dataset source {source!r} is unknown. Give {', '.join(f'package:{known}' for known in PACKAGES)}, "
        "hub:ORG/NAME[:SPLIT], or the path of a .csv, .jsonl or .parquet file."
    )
