"""Draw texts instead of rows, so that all rows of equal texts are on the same side of a split."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
"""Keys of texts, ascending and without duplicates."""
NO_KEYS: Keys = np.empty(0, np.uint64)
Ranked = Callable[[], Iterator[tuple[Keys, Keys, npt.NDArray[np.uint32]]]]
"""Each call reads all rows of a draw from the beginning, in chunks of text keys, ranks and strata."""

RANKS = 2**64
SPARE_TEXTS = 1024
MOST_TEXTS = 2**20
"""Texts that are looked at in one pass over the rows; some 100 bytes of memory each."""
KEYS_AT_A_TIME = 2**22
"""Keys that are compared in one pass over the rows; 8 bytes of memory each, and as much again to sort them."""


class Text(NamedTuple):
    """The rows of one text: the lowest of their ranks, and how many there are in each stratum."""

    rank: int
    key: int
    strata: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def contains(keys: Keys, values: Keys) -> npt.NDArray[np.bool_]:
    """Whether each value is among the keys."""
    if not len(keys):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.asarray(keys[places] == values)


def draw_texts(rows: Ranked, quotas: Sequence[int], most: Sequence[int]) -> Keys:
    """The keys of texts whose rows fill each stratum's quota, by lowest rank; texts that exceed a quota are skipped.

    If no text fits, the text with the fewest rows is drawn, provided that no stratum gives more than `most` rows; else
    the result is empty. If every text has one row, these are the rows with the lowest ranks of each stratum.
    Memory depends on the quotas and the number of strata: texts are considered in windows of ascending ranks, each
    twice as wide as the previous one, up to a million texts at a time.
    """
    left, limits = np.array(quotas, np.int64), np.array(most, np.int64)
    total = sum(len(keys) for keys, _, _ in rows())
    drawn: list[int] = []
    smallest: tuple[int, int, int] | None = None
    start, texts = 0, 2 * int(left.sum()) + SPARE_TEXTS
    while start < RANKS and left.any():
        width = RANKS * min(texts, MOST_TEXTS) // max(total, 1) + 1
        for text in sorted(_window(rows, start, min(RANKS, start + width), len(left)), key=lambda one: one[:2]):
            if (text.counts <= left[text.strata]).all():
                left[text.strata] -= text.counts
                drawn.append(text.key)
            elif (text.counts <= limits[text.strata]).all():
                found = (int(text.counts.sum()), text.rank, text.key)
                smallest = min(smallest or found, found)
        start, texts = start + width, 2 * texts
    if not drawn and smallest is not None:
        drawn = [smallest[2]]
    return np.sort(np.array(drawn, np.uint64))


def _window(rows: Ranked, start: int, end: int, strata: int) -> Iterator[Text]:
    """The texts whose lowest rank is from `start` to before `end`."""
    low, high = np.uint64(start), np.uint64(end - 1)
    keys = _union(keys[(ranks >= low) & (ranks <= high)] for keys, ranks, _ in rows())
    lowest = np.full(len(keys), RANKS - 1, np.uint64)
    cells, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for some_keys, ranks, some_strata in rows():
        chosen = contains(keys, some_keys)
        texts = np.searchsorted(keys, some_keys[chosen])
        np.minimum.at(lowest, texts, ranks[chosen])
        cells, counts = _add_up(cells, counts, texts * strata + some_strata[chosen])
    edges = np.searchsorted(cells, np.arange(len(keys) + 1) * strata)
    for place in np.flatnonzero(lowest >= low):
        part = slice(edges[place], edges[place + 1])
        yield Text(int(lowest[place]), int(keys[place]), cells[part] % strata, counts[part])


def _add_up(
    cells: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], more: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The cells, ascending, and their counts after adding one for each entry of `more`."""
    found, added = np.unique(more, return_counts=True)
    both, places = np.unique(np.concatenate([cells, found]), return_inverse=True)
    sums = np.zeros(len(both), np.int64)
    np.add.at(sums, places, np.concatenate([counts, added]))
    return both, sums


def _union(parts: Iterable[Keys]) -> Keys:
    """All keys without duplicates."""
    found = NO_KEYS
    for part in parts:
        found = np.union1d(found, part)
    return found


def count_texts(keys: Callable[[], Iterator[Keys]], rows: int) -> int:
    """How many different keys there are; each pass over the rows looks at a part of them."""
    passes = max(1, -(-rows // KEYS_AT_A_TIME))
    return sum(_count_part(keys, number, passes) for number in range(passes))


def _count_part(keys: Callable[[], Iterator[Keys]], number: int, passes: int) -> int:
    parts = [some[some % np.uint64(passes) == number] for some in keys()]
    together = np.sort(np.concatenate(parts)) if parts else NO_KEYS
    return int(np.count_nonzero(np.diff(together))) + 1 if len(together) else 0
