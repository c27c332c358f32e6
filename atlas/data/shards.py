"""How rows are cut into shards: by a column's value, by a number of rows, or by a number of bytes."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from atlas.dataset_spec import ShardRule
from atlas.errors import DataError

MOST_SHARDS = 10_000


class Shard(NamedTuple):
    """The rows of one shard, in source order."""

    rows: Sequence[int]
    value: str | None = None


def cut_shards(rule: ShardRule, strata: Mapping[str, Sequence[int]], size: Callable[[int], int]) -> list[Shard]:
    """Cut the rows of each stratum; `size` gives a row's bytes. By column, shards are in order of the value.

    Raises `DataError` when a row is larger than a shard may be, or when there would be more than 10,000 shards.
    """
    if rule.column is not None:
        shards = [Shard(strata[value], value) for value in sorted(strata)]
    elif rule.rows is not None:
        (rows,) = strata.values()
        shards = [Shard(rows[start : start + rule.rows]) for start in range(0, len(rows), rule.rows)]
    elif rule.bytes is not None:
        (rows,) = strata.values()
        shards = _cut_by_bytes(rows, rule.bytes, size)
    if len(shards) > MOST_SHARDS:
        chosen = ", ".join(f"{name} {value}" for name, value in rule.model_dump(exclude_none=True).items())
        raise DataError(
            f"Cutting by {chosen} makes {len(shards)} shards; at most {MOST_SHARDS} are allowed. Set dataset.shard_by "
            "to a column with fewer values, or to more rows or bytes a shard."
        )
    return shards


def _cut_by_bytes(rows: Sequence[int], most: int, size: Callable[[int], int]) -> list[Shard]:
    """Fill each shard with as many rows as fit."""
    starts: list[int] = []
    filled = most + 1
    for place, row in enumerate(rows):
        if size(row) > most:
            raise DataError(
                f"Row {row + 1} takes {size(row)} bytes, a shard may have {most}. Raise dataset.shard_by.bytes, "
                "or shorten or remove the row."
            )
        if filled + size(row) > most:
            starts.append(place)
            filled = 0
        filled += size(row)
    return [Shard(rows[start:end]) for start, end in zip(starts, [*starts[1:], len(rows)], strict=True)]
