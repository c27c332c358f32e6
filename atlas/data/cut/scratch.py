"""An array in a file without a name: as many records as the disk holds, and none of them in memory."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHUNK = 2**17
"""Records that are in memory at a time."""

Records = npt.NDArray[Any]


class Scratch:
    """Records of one numpy type, which vanish with the process."""

    def __init__(self, folder: Path, kind: npt.DTypeLike) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._kind = np.dtype(kind)
        self._count = 0

    def append(self, records: Records) -> None:
        """Add records at the end."""
        self.write(self._count, records)
        self._count += len(records)

    def write(self, place: int, records: Records) -> None:
        """Put records at a place of their own, which may lie beyond the end."""
        data = memoryview(np.ascontiguousarray(records, self._kind).tobytes())
        start = place * self._kind.itemsize
        while data:
            written = os.pwrite(self._file.fileno(), data, start)
            data, start = data[written:], start + written

    def read(self, place: int, count: int) -> Records:
        """So many records from a place on."""
        size = self._kind.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), count * size, place * size), self._kind)

    def chunks(self, place: int = 0, count: int | None = None) -> Iterator[Records]:
        """All appended records, or so many from a place on, some at a time."""
        end = self._count if count is None else place + count
        for start in range(place, end, CHUNK):
            yield self.read(start, min(CHUNK, end - start))

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
