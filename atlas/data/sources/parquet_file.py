"""Rows of a Parquet file: only the used columns are read, one batch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas.data.sources.source_row import SourceRow, Wanted
from atlas.data.sources.text_file import reading
from atlas.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_A_TIME = 1024
BUFFER_BYTES = 2**20


def parquet_rows(path: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """Yield the rows in file order, counted from 1.

    Raises `DataError` that names the file, and the column if its type is not supported: text, or for a label or filter
    also numbers and booleans.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    place = wanted.place("row", str(path))
    try:
        # Pre-buffering would hold a whole row group in memory.
        with reading(path, "Parquet"), ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
            places = wanted.find(file.schema_arrow.names, str(path))
            for column, index in places.items():
                _check(file.schema_arrow.field(index).type, column, path, wanted)
            names = {column: file.schema_arrow.names[index] for column, index in places.items()}
            number = 0
            for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=list(names.values())):
                cells = [_values(batch.column(batch.schema.get_field_index(name))) for name in names.values()]
                for row in zip(*cells, strict=True):
                    number += 1
                    yield SourceRow(number, place, dict(zip(names, row, strict=True)))
    except ArrowException as error:
        raise DataError(f"Cannot read {path} as Parquet: {error}.") from error


def _check(kind: "pa.DataType", column: str, path: Path, wanted: Wanted) -> None:
    import pyarrow.types as types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    text = types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner)
    names = types.is_boolean(inner) or types.is_integer(inner) or types.is_floating(inner) or types.is_decimal(inner)
    setting = wanted.columns[column]
    if text or types.is_null(inner) or (names and setting != "text_column"):
        return
    expected = "text" if setting == "text_column" else "text, whole numbers or truth values"
    raise DataError(
        f"The column {column!r} of {path} holds {kind}, expected {expected}. Write it as text, or set "
        f"{wanted.prefix}{setting} to another column."
    )


def _values(column: "pa.Array") -> list[Any]:
    """The cells as Python values; bytes that are not UTF-8 become lone surrogates, as in text files."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        raw = plain.cast(pa.large_binary()).to_pylist()
        return [None if cell is None else cell.decode(errors="surrogateescape") for cell in raw]
