"""Draw the held-out texts and the reference texts from a spool of rows."""

from collections.abc import Iterator

import numpy as np

from atlas.counts import counted
from atlas.data.cut.holdout import allot_holdout, holdout_rank
from atlas.data.cut.scratch import Records, Scratch
from atlas.data.cut.spool import RowSpool
from atlas.data.cut.texts import NO_KEYS, Keys, contains, count_texts, draw_texts
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec

REFERENCE_DRAW = 2**31
"""Added to the dataset's seed for the draw of reference rows; larger than any job's seed, so the draws differ."""


def hold_out(spec: DatasetSpec, spool: RowSpool) -> Keys:
    """The keys of the held-out texts: at least one, but never all rows of a stratum.

    Raises `DataError` with the numbers when there are too few rows or texts.
    """
    column = spec.shard_by.column
    each = f", one for each value of the column {column!r}" if column and len(spool) else ""
    if len(spool) == len(spool.strata):
        raise DataError(
            f"{spec.source} has {counted(len(spool), 'row')} that can be used{each}; at least two are "
            f"needed, one for training "
            "and one to hold out. Give more rows or another dataset."
        )
    wanted = max(1, min(spec.holdout_rows, round(spec.holdout_fraction * len(spool))))
    found = draw_texts(lambda: _ranked(spool), _quotas(spool, spool.sizes, wanted), [one - 1 for one in spool.sizes])
    if not len(found):
        texts = count_texts(lambda: keys_of(spool), len(spool))
        raise DataError(
            f"{spec.source} has {counted(len(spool), 'row')}, but only {counted(texts, 'different text')}. Equal "
            "texts stay together, and each shard needs a row to train on, so no row can be held out. Give more "
            "different texts."
        )
    return found


def keep_back(spec: DatasetSpec, spool: RowSpool, held_out: Keys, seed: int, wanted: int) -> Keys:
    """The keys of the reference texts: drawn like the held-out ones, from the remaining texts, with other ranks."""
    if not wanted:
        return NO_KEYS
    sizes = np.zeros(len(spool.strata), np.int64)
    for rows in spool.rows():
        sizes += np.bincount(rows["stratum"][~contains(held_out, rows["key"])], minlength=len(sizes))
    left = sizes.tolist()
    spare = sum(left) - len(left)
    ranks = _ranks_of_the_rest(spool, held_out, seed + REFERENCE_DRAW)
    limits = [one - 1 for one in left]
    found = NO_KEYS
    if spare >= wanted:
        found = draw_texts(lambda: _ranked(spool, held_out, ranks), _quotas(spool, left, wanted), limits)
    if not len(found):
        raise DataError(
            f"{spec.source} has {counted(max(0, spare), 'row')} left after the held-out ones and one for each shard, "
            f"but aggregation.robust.reference_rows is {wanted}, and equal texts stay together. Lower it, give more "
            "rows, or choose a robust rule that needs no reference rows."
        )
    return found


def hold_out_all(source: str, spool: RowSpool, holdout_rows: int, reference_rows: int) -> tuple[Keys, Keys]:
    """The keys of the held-out texts and of the reference texts, for a source that no node trains on.

    At most `holdout_rows` rows are held out. Raises `DataError` with the numbers when there are too few rows.
    """
    spare = len(spool) - reference_rows
    if spare >= 1:
        held_out = draw_texts(lambda: _ranked(spool), [min(holdout_rows, spare)], [spare])
        rest = len(spool) - count_rows(spool, held_out)
        if not reference_rows:
            return held_out, NO_KEYS
        reference = draw_texts(lambda: _ranked(spool, held_out), [min(reference_rows, rest)], [rest])
        if len(held_out) and len(reference):
            return held_out, reference
    raise DataError(
        f"dataset.holdout_source {source} has {counted(len(spool), 'row')} to evaluate on and to use as reference "
        f"rows; {1 + reference_rows} or more of different texts are needed. Give more rows"
        + (", or lower aggregation.robust.reference_rows." if reference_rows else ".")
    )


def count_rows(spool: RowSpool, texts: Keys) -> int:
    """How many rows have one of these texts."""
    return sum(int(contains(texts, rows["key"]).sum()) for rows in spool.rows())


def keys_of(spool: RowSpool) -> Iterator[Keys]:
    """The key of each row's text, in chunks of rows."""
    return (rows["key"] for rows in spool.rows())


def _quotas(spool: RowSpool, sizes: list[int], wanted: int) -> list[int]:
    quotas = allot_holdout(dict(zip(spool.strata, sizes, strict=True)), wanted)
    return [quotas[name] for name in spool.strata]


def _ranked(
    spool: RowSpool, without: Keys = NO_KEYS, ranks: Scratch | None = None
) -> Iterator[tuple[Keys, Keys, Records]]:
    """The keys, ranks and strata of the rows with other texts than `without`; `ranks` None takes the spool's ranks."""
    others = ranks.chunks() if ranks is not None else (rows["rank"] for rows in spool.rows())
    for rows, rank in zip(spool.rows(), others, strict=True):
        drawn = ~contains(without, rows["key"])
        yield rows["key"][drawn], rank[drawn], rows["stratum"][drawn]


def _ranks_of_the_rest(spool: RowSpool, without: Keys, seed: int) -> Scratch:
    """A rank for each row in a second draw; a row's position counts only rows whose texts are not in `without`."""
    ranks, places = spool.scratch("<u8"), [0] * len(spool.strata)
    lines = spool.lines()
    for rows in spool.rows():
        drawn = (~contains(without, rows["key"])).tolist()
        found = np.zeros(len(rows), "<u8")
        for index, (line, stratum) in enumerate(zip(lines, rows["stratum"].tolist(), strict=False)):
            if drawn[index]:
                found[index] = holdout_rank(seed, places[stratum], line)
                places[stratum] += 1
        ranks.append(found)
    return ranks
