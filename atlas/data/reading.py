"""Read a source's columns, check and encode each row, and collect the bad rows."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from atlas.data.bad_rows import BadRow, BadRows
from atlas.data.rows import EncodedRow, RowEncoder
from atlas.data.sources.read import read_source
from atlas.data.sources.source_row import Wanted
from atlas.spec.dataset import DatasetSpec, RowSettings
from atlas.spec.partition_names import name_of
from atlas.spec.row_part import RowPart

ROWS_PER_REPORT = 1000


class RowReader:
    """Reads one source with the settings of a dataset, and counts bad rows."""

    def __init__(
        self,
        source: str,
        settings: RowSettings,
        where: Mapping[str, str | int] | None = None,
        keep: RowPart | None = None,
        prefix: str = "dataset.",
    ) -> None:
        spec = settings if isinstance(settings, DatasetSpec) else None
        shard_column = spec.shard_by.column if spec else None
        self.bad = BadRows(source, settings.bad_rows == "skip", prefix)
        self.cut = False
        """Whether `rows` stopped before the end of the source."""
        self._source, self._keep, self._text_column = source, keep, settings.text_column
        self._where = {column: name_of(value) for column, value in (where or {}).items()}
        self._encoder = RowEncoder(
            settings.text_column, settings.label_column, spec.labels if spec else (), shard_column
        )
        columns = {settings.text_column: "text_column"}
        for column, setting in ((settings.label_column, "label_column"), (shard_column, "shard_by.column")):
            if column is not None:
                columns.setdefault(column, setting)
        self._wanted = Wanted(
            {**dict.fromkeys(self._where, "where"), **columns}, settings.separator, settings.encoding, prefix
        )

    def rows(
        self, cache: Path, on_progress: Callable[[int], None] = lambda rows: None, most: int | None = None
    ) -> Iterator[EncodedRow]:
        """The rows in the source's order; `on_progress` gets the number of rows read, every 1,000 rows.

        After `most` rows, reading stops and `cut` is True. Raises `DataError` that names the setting; at the end, one
        that lists the first ten bad rows, unless bad rows are skipped.
        """
        read = 0
        for read, row in enumerate(islice(read_source(self._source, cache, self._wanted), most), 1):
            try:
                if row.problem is not None:
                    raise row.problem
                if self._matches(row.values):
                    encoded = self._encoder.encode(row.values)
                    if not self.bad.refused and (self._keep is None or self._keep.holds(self._text(row.values))):
                        yield encoded
            except BadRow as problem:
                self.bad.add(row.place.of(row.number), problem)
            if read % ROWS_PER_REPORT == 0:
                on_progress(read)
        self.cut = read == most
        self.bad.refuse(" or more" if self.cut else "")

    def _text(self, values: Mapping[str, object]) -> str:
        return str(values[self._text_column])

    def _matches(self, values: Mapping[str, object]) -> bool:
        return all(name_of(values[column]) == wanted for column, wanted in self._where.items())
