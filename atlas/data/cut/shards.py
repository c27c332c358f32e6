"""How rows are cut into shards: by a column's value, by a number of rows, or by a number of bytes."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from atlas.data.cut.scratch import Records
from atlas.errors import DataError
from atlas.spec.dataset import ShardRule

MOST_SHARDS = 10_000

Cut = Callable[[Records], npt.NDArray[np.int64]]
"""Maps the next rows, in order, to the numbers of their shards; keeps its state between calls."""


def cut_by(rule: ShardRule, strata: Sequence[str]) -> Cut:
    """The function that cuts a dataset with these strata; if cut by column, shards are sorted by value.

    The function raises `DataError` for a row that exceeds the maximum size of a shard.
    """
    if rule.rows is not None:
        return _by_rows(rule.rows)
    if rule.bytes is not None:
        return _by_bytes(rule.bytes)
    order = np.empty(len(strata), np.int64)
    order[sorted(range(len(strata)), key=strata.__getitem__)] = np.arange(len(strata))
    return lambda rows: order[rows["stratum"]]


def check_shard_count(rule: ShardRule, shards: int, or_more: bool = False) -> None:
    """Raise `DataError` when there would be more than 10,000 shards."""
    if shards > MOST_SHARDS:
        chosen = ", ".join(f"{name} {value}" for name, value in rule.model_dump(exclude_none=True).items())
        raise DataError(
            f"Cutting by {chosen} makes {shards} shards{' or more' if or_more else ''}; at most {MOST_SHARDS} are "
            "allowed. Set dataset.shard_by to a column with fewer values, or to more rows or bytes a shard."
        )


def _by_rows(most: int) -> Cut:
    seen = 0

    def cut(rows: Records) -> npt.NDArray[np.int64]:
        nonlocal seen
        seen += len(rows)
        return np.arange(seen - len(rows), seen) // most

    return cut


def _by_bytes(most: int) -> Cut:
    """Fill each shard with as many rows as fit."""
    shard, filled = 0, 0

    def cut(rows: Records) -> npt.NDArray[np.int64]:
        nonlocal shard, filled
        numbers = np.empty(len(rows), np.int64)
        for place, size in enumerate(rows["size"].tolist()):
            if size > most:
                raise DataError(
                    f"A row takes {size} bytes, a shard may have {most}. Raise dataset.shard_by.bytes, or shorten or "
                    "remove the row."
                )
            if filled + size > most:
                shard, filled = shard + 1, 0
            filled += size
            numbers[place] = shard
        return numbers

    return cut
