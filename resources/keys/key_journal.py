"""The record of released keys, written before a key is sent, so that it shows who may have read the rows."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from atlas.disk.sqlite_tables import SqliteTables
from atlas.ids import Cid, JobId
from resources.coordinator_file import coordinator_file

_SCHEMA = """
CREATE TABLE IF NOT EXISTS released_keys (
    ring TEXT NOT NULL, address TEXT NOT NULL, contract TEXT NOT NULL, job_id INTEGER NOT NULL, job TEXT NOT NULL,
    round INTEGER NOT NULL, attempt INTEGER NOT NULL, data TEXT NOT NULL, file TEXT NOT NULL, released REAL NOT NULL,
    PRIMARY KEY (ring, address, contract, job_id, round, attempt, data)
) STRICT;
"""


@dataclass(frozen=True)
class KeyRecipient:
    """A node that may open one sealed file, and the task that it was given the key for."""

    ring: str
    address: str
    contract: str
    job_id: JobId
    job: str
    round: int
    attempt: int
    data: str
    """The file's role in its job, such as `s000`."""
    file: Cid
    """CID of the sealed file."""


class KeyJournal:
    """The keys that were released, in the coordinator's SQLite file; `clock` gives unix seconds. Thread-safe."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._tables = SqliteTables(coordinator_file(path), _SCHEMA)
        self._clock = clock

    def note(self, recipient: KeyRecipient) -> None:
        """Record a release; a repeated release is recorded once. Raises `CoordinatorError` on failure."""
        with self._tables.writing() as db:
            db.execute(
                "INSERT INTO released_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*astuple(recipient), self._clock()),
            )

    def released(self, ring: str) -> list[tuple[float, KeyRecipient]]:
        """The first release of each key of a ring to each recipient, oldest first: unix seconds and recipient."""
        with self._tables.reading() as db:
            rows = db.execute("SELECT * FROM released_keys WHERE ring = ? ORDER BY released, address, data", (ring,))
            return [(released, KeyRecipient(*recipient)) for *recipient, released in rows]
