"""Rows of a dataset on the Hugging Face hub, or on a mirror that `HF_ENDPOINT` names."""

import re
from collections.abc import Iterator
from pathlib import Path

from atlas.data.sources.source_row import RowLocation, SourceRow, Wanted
from atlas.errors import DataError

NAME = re.compile(r"(?P<repository>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<split>[\w.\[\]:%+-]+))?", re.ASCII)
ROWS_AT_A_TIME = 1000


def hub_rows(name: str, cache: Path, wanted: Wanted) -> Iterator[SourceRow]:
    """Yield the rows of `ORG/NAME[:SPLIT]` (default split: train) in the hub's order, class numbers as class names.

    Files are kept in `cache`. Code in the dataset's repository is never run. Raises `DataError` when the hub cannot be
    reached or has no such dataset or split.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"The dataset source 'hub:{name}' is malformed. Expected hub:ORG/NAME or hub:ORG/NAME:SPLIT.")

    import datasets

    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            match["repository"], split=match["split"] or "train", cache_dir=str(cache / "hub-datasets")
        )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"Cannot load hub:{name}: {error}. Check its name and split, the network and HF_HUB_OFFLINE; or download "
            "the data on another machine and give the path of a .csv, .jsonl or .parquet file."
        ) from error
    names = {
        column: rows.column_names[place] for column, place in wanted.find(rows.column_names, f"hub:{name}").items()
    }
    classes = {
        column: rows.features[own].names
        for column, own in names.items()
        if isinstance(rows.features[own], datasets.ClassLabel)
    }
    place, number = RowLocation(), 0
    for batch in rows.select_columns(list(names.values())).iter(ROWS_AT_A_TIME):
        for cells in zip(*(batch[own] for own in names.values()), strict=True):
            number += 1
            values = dict(zip(names, cells, strict=True))
            named = {column: _class_name(values[column], known) for column, known in classes.items()}
            yield SourceRow(number, place, {**values, **named})


def _class_name(number: int | None, names: list[str]) -> object:
    """The name of a class; a number without a name is returned unchanged (-1 marks a row without a label)."""
    return names[number] if number is not None and 0 <= number < len(names) else number
