"""results.json: one entry for each finished point, written so that two processes may share it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.aggregation.environments import bench_folder

RESULTS = Path(__file__).parent / "results.json"


class Results:
    """The entries of a results file by point, and locks on the points being measured."""

    def __init__(self, path: Path = RESULTS) -> None:
        self.path = path
        self._locks = bench_folder("locks")

    def read(self) -> dict[str, Any]:
        """All entries by the key of their point."""
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}

    def add(self, key: str, entry: Any) -> None:
        """Add or replace one entry."""
        with (self._locks / "results.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = dict(sorted((self.read() | {key: entry}).items()))
            part = self.path.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
            part.replace(self.path)

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Lock a point until the end of the block; yields False if another process holds the lock."""
        with (self._locks / key.replace("/", "~")).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
