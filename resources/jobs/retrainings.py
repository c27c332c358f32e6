"""The coordinator's record of retrainings: which job each repeats, why and in which month it was ordered.

An order is recorded before its runs are requested, so that after a crash the same cause gives the same order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas.disk.sqlite_tables import SqliteTables
from resources.coordinator_file import coordinator_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS retrainings (
    place INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, job TEXT NOT NULL, causes TEXT NOT NULL, month TEXT NOT NULL,
    budget INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Retraining:
    """A job ordered again."""

    name: str
    job: str
    """The job that it repeats."""
    causes: Sequence[str] = ()
    """Sentences, each unique to its event; none if a person ordered it."""
    month: str = ""
    """The month of its order, such as `202601`; empty if it does not count in a monthly budget."""
    budget: int = 0
    """Micro-units in escrow."""


class Retrainings:
    """The retrainings in the coordinator's SQLite file, in the order in which they were recorded."""

    def __init__(self, path: Path) -> None:
        self._tables = SqliteTables(coordinator_file(path), SCHEMA)

    def record(self, one: Retraining, limit: int | None = None) -> int | None:
        """Record a retraining, unless the orders of its month would then escrow more than `limit` micro-units.

        Returns None, or the micro-units that the other orders of the month escrow, if they leave too little. A
        retraining with a recorded name stays as it is.
        """
        with self._tables.writing() as db:
            if db.execute("SELECT 1 FROM retrainings WHERE name = ?", (one.name,)).fetchone():
                return None
            ((others,),) = db.execute(
                "SELECT COALESCE(SUM(budget), 0) FROM retrainings WHERE job = ? AND month = ?", (one.job, one.month)
            )
            if limit is not None and others + one.budget > limit:
                return int(others)
            db.execute(
                "INSERT INTO retrainings (name, job, causes, month, budget) VALUES (?, ?, ?, ?, ?)",
                (one.name, one.job, json.dumps(list(one.causes)), one.month, one.budget),
            )
        return None

    def of(self, job: str) -> list[Retraining]:
        """The retrainings of a job."""
        with self._tables.reading() as db:
            rows = db.execute(
                "SELECT name, job, causes, month, budget FROM retrainings WHERE job = ? ORDER BY place", (job,)
            ).fetchall()
        return [
            Retraining(name, repeated, json.loads(causes), month, budget)
            for name, repeated, causes, month, budget in rows
        ]
