"""Assign rows to the pieces of a dataset: each piece lists its rows in source order, as offsets in the spool."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atlas.data.cut.scratch import Records, Scratch
from atlas.data.cut.shards import MOST_SHARDS, check_shard_count, cut_by
from atlas.data.cut.spool import RowSpool
from atlas.data.cut.texts import Keys, contains
from atlas.spec.dataset import ShardRule

PLACED = np.dtype([("offset", "<u8"), ("size", "<u8"), ("label", "<u4"), ("tokens", "<u4")])
"""A row of a piece: 24 bytes of disk."""
HOLDOUT, REFERENCE, FIRST_SHARD = 0, 1, 2
"""The numbers of the pieces; shard 0 is piece `FIRST_SHARD`."""


class Piece(NamedTuple):
    """The numbers of a piece's rows, bytes and tokens, and of its rows of each label, by the label's number."""

    rows: int
    bytes: int
    tokens: int
    labels: npt.NDArray[np.int64]


class PieceLayout:
    """The rows of all pieces, one piece after the other."""

    def __init__(self, spool: RowSpool, rows: Scratch, counts: npt.NDArray[np.int64]) -> None:
        self._spool, self._rows = spool, rows
        self._counts = counts
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self._counts) - FIRST_SHARD

    def rows_of(self, piece: int) -> int:
        """How many rows a piece has."""
        return int(self._counts[piece])

    def write(self, piece: int, write: Callable[[bytes], object]) -> Piece:
        """Write the lines of a piece and return its counts."""
        labels = np.zeros(len(self._spool.labels), np.int64)
        size = tokens = 0
        for rows in self._rows.chunks(int(self._starts[piece]), self.rows_of(piece)):
            labels += np.bincount(rows["label"], minlength=len(labels))
            size += int(rows["size"].sum())
            tokens += int(rows["tokens"].sum(dtype=np.uint64))
            for offset, length in _runs(rows):
                self._spool.copy(offset, length, write)
        return Piece(self.rows_of(piece), size, tokens, labels)


def lay_out(spool: RowSpool, held_out: Keys, reference: Keys, rule: ShardRule) -> PieceLayout:
    """Assign each row to its piece: to the held-out or reference rows by its text, else to a shard by the rule.

    Raises `DataError` as `cut_by` and `check_shard_count` do.
    """
    numbers = spool.scratch("<u4")
    counts = np.zeros(FIRST_SHARD + MOST_SHARDS + 1, np.int64)
    shards = 0
    cut = cut_by(rule, spool.strata)
    for rows in spool.rows():
        pieces = np.full(len(rows), HOLDOUT, np.int64)
        pieces[contains(reference, rows["key"])] = REFERENCE
        trained = ~(contains(held_out, rows["key"]) | (pieces == REFERENCE))
        pieces[trained] = cut(rows[trained]) + FIRST_SHARD
        shards = max(shards, int(pieces.max()) - FIRST_SHARD + 1)
        numbers.append(pieces)
        counts += np.bincount(np.minimum(pieces, len(counts) - 1), minlength=len(counts))
    check_shard_count(rule, shards)
    return PieceLayout(spool, _sorted(spool, numbers, counts), counts[: FIRST_SHARD + shards])


def _sorted(spool: RowSpool, numbers: Scratch, counts: npt.NDArray[np.int64]) -> Scratch:
    """The rows by piece, each piece in source order: a counting sort on disk."""
    placed = spool.scratch(PLACED)
    cursors = np.concatenate([[0], np.cumsum(counts)[:-1]])
    offset = 0
    for rows, pieces in zip(spool.rows(), numbers.chunks(), strict=True):
        ends = offset + np.cumsum(rows["size"])
        records = np.empty(len(rows), PLACED)
        records["offset"], records["size"] = ends - rows["size"], rows["size"]
        records["label"], records["tokens"] = rows["label"], rows["tokens"]
        order = np.argsort(pieces, kind="stable")
        found, starts = np.unique(pieces[order], return_index=True)
        for piece, some in zip(found.tolist(), np.split(records[order], starts[1:]), strict=True):
            placed.write(int(cursors[piece]), some)
            cursors[piece] += len(some)
        offset = int(ends[-1])
    return placed


def _runs(rows: Records) -> list[tuple[int, int]]:
    """The offset and size of each run of lines that lie one after the other in the spool."""
    offsets, ends = rows["offset"], rows["offset"] + rows["size"]
    breaks = np.flatnonzero(offsets[1:] != ends[:-1]) + 1
    starts = offsets[np.concatenate([[0], breaks])]
    stops = ends[np.concatenate([breaks - 1, [len(rows) - 1]])]
    return list(zip(starts.tolist(), (stops - starts).tolist(), strict=True))
