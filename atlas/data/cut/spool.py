"""Checked and encoded rows between source and shards, in unnamed temporary files."""

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from atlas.data.cut.holdout import holdout_rank
from atlas.data.cut.scratch import CHUNK, Records, Scratch
from atlas.data.rows import EncodedRow

ROW = np.dtype(
    [("key", "<u8"), ("rank", "<u8"), ("size", "<u8"), ("stratum", "<u4"), ("label", "<u4"), ("tokens", "<u4")]
)
"""A row's record: 36 bytes on disk. `key` identifies the text, see `text_key`; `size` is the line's, in bytes."""
_PACK = struct.Struct("<QQQIII").pack
READ_BYTES = 2**22


class RowSpool:
    """Encoded rows on disk, in the order of the source; only strata and labels are in memory."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed, self._folder = seed, folder
        self._lines = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._rows = Scratch(folder, ROW)
        self._waiting = bytearray()
        self._scratches = [self._rows]
        self._labels: dict[str | None, int] = {}
        self._strata: dict[str, int] = {}
        self._sizes: list[int] = []
        self._count = 0

    @property
    def strata(self) -> list[str]:
        """The shard values in order of first appearance; a single empty one if rows are not sharded by a column."""
        return list(self._strata)

    @property
    def sizes(self) -> list[int]:
        """Rows of each stratum."""
        return self._sizes

    @property
    def labels(self) -> list[str | None]:
        """The labels in order of first appearance; a label's position is its number."""
        return list(self._labels)

    @property
    def label_count(self) -> int:
        """How many different labels there are."""
        return len(self._labels)

    def append(self, row: EncodedRow) -> None:
        """Add a row; its stratum is its shard value."""
        stratum = self._strata.setdefault(row.value or "", len(self._strata))
        if stratum == len(self._sizes):
            self._sizes.append(0)
        rank = holdout_rank(self._seed, self._sizes[stratum], row.line)
        self._sizes[stratum] += 1
        self._count += 1
        label = self._labels.setdefault(row.label, len(self._labels))
        self._waiting += _PACK(row.text_key, rank, len(row.line), stratum, label, row.tokens)
        self._lines.write(row.line)
        if len(self._waiting) >= CHUNK * ROW.itemsize:
            self._flush()

    def rows(self) -> Iterator[Records]:
        """All rows as `ROW` records, in chunks."""
        self._flush()
        return self._rows.chunks()

    def scratch(self, kind: np.dtype | str) -> Scratch:
        """A further array on disk, which vanishes with the spool."""
        made = Scratch(self._folder, kind)
        self._scratches.append(made)
        return made

    def lines(self) -> Iterator[bytes]:
        """All lines in order."""
        self._lines.flush()
        self._lines.seek(0)
        yield from self._lines

    def copy(self, offset: int, size: int, write: Callable[[bytes], object]) -> None:
        """Write the lines in `size` bytes from `offset` on, at most `READ_BYTES` at a time."""
        self._lines.flush()
        end = offset + size
        for start in range(offset, end, READ_BYTES):
            write(os.pread(self._lines.fileno(), min(READ_BYTES, end - start), start))

    def _flush(self) -> None:
        if self._waiting:
            self._rows.append(np.frombuffer(bytes(self._waiting), ROW))
            self._waiting.clear()

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for scratch in self._scratches:
            scratch.close()
        self._lines.close()  # last: on a full disk it fails
