"""Rows on their way from a source into shards: checked, encoded and kept in a file without a name."""

import os
import tempfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from atlas.data.holdout import holdout_rank
from atlas.data.rows import EncodedRow


@dataclass
class Stratum:
    """The rows that one shard value has, in source order; all rows when no column decides."""

    rows: "array[int]" = field(default_factory=lambda: array("Q"))
    ranks: "array[int]" = field(default_factory=lambda: array("Q"))


class RowSpool:
    """Encoded rows in a temporary file that vanishes with the process; some 30 bytes of memory a row."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._seed = seed
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._ends = array("Q", [0])
        self._known: dict[str | None, str | None] = {}
        self.labels: list[str | None] = []
        self.tokens = array("L")
        self.strata: dict[str, Stratum] = {}

    def append(self, row: EncodedRow) -> None:
        """Add a row; its stratum is its shard value."""
        stratum = self.strata.setdefault(row.value or "", Stratum())
        stratum.ranks.append(holdout_rank(self._seed, len(stratum.rows), row.line))
        stratum.rows.append(len(self))
        self.labels.append(self._known.setdefault(row.label, row.label))
        self.tokens.append(row.tokens)
        self._file.write(row.line)
        self._ends.append(self._ends[-1] + len(row.line))

    def size(self, row: int) -> int:
        """Bytes of a row's line."""
        return self._ends[row + 1] - self._ends[row]

    def ranks(self, rows: Sequence[int], seed: int) -> Sequence[int]:
        """The ranks of some rows of one stratum in another draw than that of the held-out rows."""
        self._file.flush()
        return array("Q", (holdout_rank(seed, place, self._line(row)) for place, row in enumerate(rows)))

    def copy(self, rows: Sequence[int], write: Callable[[bytes], object]) -> None:
        """Write the lines of some rows, in the given order."""
        self._file.flush()
        for row in rows:
            write(self._line(row))

    def _line(self, row: int) -> bytes:
        return os.pread(self._file.fileno(), self.size(row), self._ends[row])

    def __len__(self) -> int:
        return len(self.labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
