"""Rows of a Parquet file."""

from collections.abc import Iterator
from pathlib import Path

from atlas.errors import DataError

ROWS_AT_A_TIME = 1024


def parquet_rows(path: Path) -> Iterator[dict[str, object]]:
    """Yield the rows in file order, a batch in memory at a time; raises `DataError` that names the file."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
                yield from batch.to_pylist()
    except (OSError, ArrowException) as error:
        raise DataError(f"Cannot read {path} as Parquet: {error}.") from error
