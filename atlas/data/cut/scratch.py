"""An array in an unnamed temporary file, so that its size is limited by the disk and not by memory."""

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
    """Records of one numpy type on disk; the file disappears when the process ends."""

    def __init__(self, folder: Path, kind: npt.DTypeLike) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self._kind = np.dtype(kind)
        self._count = 0

    def append(self, records: Records) -> None:
        """Add records at the end."""
        self.write(self._count, records)
        self._count += len(records)

    def write(self, place: int, records: Records) -> None:
        """Write records at an index, which may be beyond the end."""
        data = memoryview(np.ascontiguousarray(records, self._kind).tobytes())
        start = place * self._kind.itemsize
        while data:
            written = os.pwrite(self._file.fileno(), data, start)
            data, start = data[written:], start + written

    def read(self, place: int, count: int) -> Records:
        """Read `count` records from the index `place` on."""
        size = self._kind.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), count * size, place * size), self._kind)

    def chunks(self, place: int = 0, count: int | None = None) -> Iterator[Records]:
        """All appended records, or `count` from the index `place` on, in chunks of at most `CHUNK` records."""
        end = self._count if count is None else place + count
        for start in range(place, end, CHUNK):
            yield self.read(start, min(CHUNK, end - start))

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()
