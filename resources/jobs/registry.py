"""The coordinator's own record of its jobs: names, attempts, results, training checkpoints, own work, removed content.

Every method is one transaction.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from atlas.disk.sqlite_tables import SqliteTables
from atlas.documents.manifests import Gate, SavedCheckpoint
from atlas.errors import SpecError
from atlas.ids import Cid, JobId, NodeId, TaskId
from resources.coordinator_file import coordinator_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY, spec_cid TEXT NOT NULL, model_cid TEXT NOT NULL, dataset_cid TEXT NOT NULL,
    genesis_cid TEXT NOT NULL, contract TEXT NOT NULL, job_id INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS attempts (
    contract TEXT NOT NULL, job_id INTEGER NOT NULL, round INTEGER NOT NULL, slot INTEGER NOT NULL,
    attempt INTEGER NOT NULL, task_id TEXT NOT NULL, task_cid TEXT NOT NULL, node_id INTEGER NOT NULL,
    state TEXT NOT NULL, receipt_cid TEXT, result_cid TEXT, gate TEXT, reason TEXT,
    PRIMARY KEY (contract, job_id, round, slot, attempt)
) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (task_id TEXT PRIMARY KEY, step INTEGER NOT NULL, cid TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS own_work (name TEXT PRIMARY KEY, cid TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS removed (job TEXT NOT NULL, cid TEXT NOT NULL, PRIMARY KEY (job, cid)) STRICT;
"""


@dataclass(frozen=True)
class JobRow:
    """A job that this coordinator opened, and the documents that define it."""

    name: str
    spec_cid: Cid
    model_cid: Cid
    dataset_cid: Cid
    genesis_cid: Cid
    contract: str
    job_id: JobId

    def round(self, number: int) -> "RoundRef":
        """One of the job's rounds."""
        return RoundRef(self.contract, self.job_id, number)


@dataclass(frozen=True)
class RoundRef:
    """One round of one job on one contract."""

    contract: str
    job_id: JobId
    round: int


@dataclass(frozen=True)
class Attempt:
    """One attempt at one task of a round: its node and its outcome."""

    slot: int
    attempt: int
    task_id: TaskId
    task_cid: Cid
    node_id: NodeId
    state: Literal["assigned", "completed", "refused", "lost"] = "assigned"
    receipt_cid: Cid | None = None
    result_cid: Cid | None = None
    gate: Gate | None = None
    reason: str | None = None


class JobRegistry:
    """The jobs, attempts and checkpoints in one SQLite file, which is created at the first write."""

    def __init__(self, path: Path) -> None:
        self._tables = SqliteTables(coordinator_file(path), SCHEMA)

    def job(self, name: str) -> JobRow | None:
        """The job of this name, or None when none was opened."""
        with self._tables.reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE name = ?", (name,)).fetchone()
        return JobRow(*row) if row else None

    def jobs(self) -> list[JobRow]:
        """Every job, by name."""
        with self._tables.reading() as db:
            return [JobRow(*row) for row in db.execute("SELECT * FROM jobs ORDER BY name")]

    def save_job(self, job: JobRow) -> None:
        """Record a job once; raises `SpecError` when its name is taken by another job."""
        with self._tables.writing() as db:
            db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", astuple(job))
            found = JobRow(*db.execute("SELECT * FROM jobs WHERE name = ?", (job.name,)).fetchone())
        refuse_other_spec(found, job.spec_cid)
        if found != job:
            raise SpecError(
                f"Job {job.name!r} is recorded in {self._tables.file.path} as {found}, but was opened as {job}. "
                "Choose another name for it."
            )

    def record_assigned(self, ref: RoundRef, attempt: Attempt) -> None:
        """Note an attempt that was handed out; noting it again changes nothing."""
        columns = ", ".join(("contract", "job_id", "round", *(field.name for field in fields(Attempt))))
        values = (*astuple(ref), *astuple(attempt))
        marks = ", ".join("?" * len(values))
        with self._tables.writing() as db:
            db.execute(f"INSERT INTO attempts ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING", values)  # noqa: S608 - names of our own fields

    def record_completed(self, ref: RoundRef, slot: int, attempt: int, receipt: Cid, result: Cid) -> None:
        """Note a verified result of an attempt that was handed out."""
        self._update(ref, slot, attempt, state="completed", receipt_cid=receipt, result_cid=result)

    def record_refused(
        self, ref: RoundRef, slot: int, attempt: int, gate: Gate, reason: str, result: Cid | None = None
    ) -> None:
        """Note that a gate refused an attempt's result before it was paid; `result` is its CID, if it was named."""
        self._update(ref, slot, attempt, state="refused", gate=gate, reason=reason, result_cid=result)

    def record_excluded(self, ref: RoundRef, slot: int, attempt: int, gate: Gate, reason: str) -> None:
        """Note that a completed result stays out of the aggregation."""
        self._update(ref, slot, attempt, gate=gate, reason=reason)

    def record_included(self, ref: RoundRef, slot: int, attempt: int) -> None:
        """Note that a completed result is part of the aggregation; this clears an earlier exclusion."""
        self._update(ref, slot, attempt, gate=None, reason=None)

    def record_lost(self, ref: RoundRef, slot: int, attempt: int, reason: str) -> None:
        """Note that an attempt ended without a result."""
        self._update(ref, slot, attempt, state="lost", reason=reason)

    def attempts(self, ref: RoundRef) -> list[Attempt]:
        """Every attempt of a round, by slot and attempt."""
        columns = ", ".join(field.name for field in fields(Attempt))
        query = (
            f"SELECT {columns} FROM attempts WHERE contract = ? AND job_id = ? AND round = ? "  # noqa: S608 - names of our own fields
            "ORDER BY slot, attempt"
        )
        with self._tables.reading() as db:
            return [Attempt(*row) for row in db.execute(query, astuple(ref))]

    def record_checkpoint(self, task_id: TaskId, checkpoint: SavedCheckpoint) -> bool:
        """Remember a training checkpoint if it is newer than the one known; True if it was."""
        with self._tables.writing() as db:
            changed = db.execute(
                "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT (task_id) DO UPDATE "
                "SET step = excluded.step, cid = excluded.cid WHERE excluded.step > step",
                (task_id, checkpoint.step, checkpoint.cid),
            ).rowcount
        return changed > 0

    def newest_checkpoint(self, task_id: TaskId) -> SavedCheckpoint | None:
        """The newest training checkpoint that a task can resume from."""
        with self._tables.reading() as db:
            row = db.execute("SELECT step, cid FROM checkpoints WHERE task_id = ?", (task_id,)).fetchone()
        return SavedCheckpoint(step=row[0], cid=row[1]) if row else None

    def record_own_work(self, name: str, cid: Cid) -> None:
        """Record the CID of the coordinator's own work, under a name that identifies its inputs."""
        with self._tables.writing() as db:
            db.execute("INSERT OR REPLACE INTO own_work VALUES (?, ?)", (name, cid))

    def own_work(self, name: str) -> Cid | None:
        """CID of the coordinator's own work under this name."""
        with self._tables.reading() as db:
            row = db.execute("SELECT cid FROM own_work WHERE name = ?", (name,)).fetchone()
        return Cid(str(row[0])) if row else None

    def record_removed(self, uses: Iterable[tuple[str, Cid]]) -> None:
        """Record that a collection removes content on purpose, as pairs (job, CID); call it before the removal.

        Pairs with the job's name, because another job may put the same content again.
        """
        with self._tables.writing() as db:
            db.executemany("INSERT INTO removed VALUES (?, ?) ON CONFLICT DO NOTHING", sorted(uses))

    def removed(self) -> set[tuple[str, Cid]]:
        """The pairs (job, CID) of content that collections have removed."""
        with self._tables.reading() as db:
            return {(job, Cid(cid)) for job, cid in db.execute("SELECT job, cid FROM removed")}

    def _update(self, ref: RoundRef, slot: int, attempt: int, **values: str | None) -> None:
        """Update an attempt, if it is known; a refused attempt stays refused, with the first reason."""
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._tables.writing() as db:
            db.execute(
                f"UPDATE attempts SET {columns} "  # noqa: S608 - names of our own fields
                "WHERE contract = ? AND job_id = ? AND round = ? AND slot = ? AND attempt = ? AND state != 'refused'",
                (*values.values(), *astuple(ref), slot, attempt),
            )


def refuse_other_spec(found: JobRow, spec_cid: Cid) -> None:
    """Raise `SpecError` unless a recorded job has this spec."""
    if found.spec_cid != spec_cid:
        raise SpecError(
            f"The name {found.name!r} is taken by a job with another spec: recorded {found.spec_cid}, "
            f"given {spec_cid}. Choose another name in the job spec."
        )
