"""The journal of accepted tasks and their progress: SQLite, so that `kill -9` loses nothing that was reported."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from atlas.disk.sqlite_file import SqliteFile
from atlas.disk.sqlite_tables import SqliteTables
from atlas.documents.manifests import SavedCheckpoint
from atlas.ids import Cid
from node_agent.errors import FailureKind, NodeError
from node_agent.wire.messages import ENDED, AssignHint, TaskReport, TaskState

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL UNIQUE,
    entry TEXT NOT NULL,
    ended_at REAL
)
"""


class JournalEntry(BaseModel):
    """One accepted task. `TaskReport` is the part that others see."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hint: AssignHint
    plan: Cid = Cid("")
    """CID of the plan of its lease when it was accepted; a lease of another chain has another plan."""
    state: TaskState = "pending"
    step: int = 0
    steps: int = 0
    loss: float | None = None
    checkpoints: list[SavedCheckpoint] = []
    adapter: Cid | None = None
    receipt: Cid | None = None
    error: str | None = None
    failure: FailureKind | None = None
    started_at: float | None = None
    crashes: int = 0
    """How often its trainer died without reporting a reason."""

    @property
    def task(self) -> Cid:
        """CID of the TaskSpec, which identifies this entry."""
        return self.hint.task

    @property
    def ended(self) -> bool:
        """Whether the task has ended on this node."""
        return self.state in ENDED

    def report(self) -> TaskReport:
        """The report for the coordinator."""
        return TaskReport(
            task_id=self.hint.task_id,
            task=self.hint.task,
            attempt=self.hint.attempt,
            state=self.state,
            step=self.step,
            steps=self.steps,
            loss=self.loss,
            checkpoint=self.checkpoints[-1] if self.checkpoints else None,
            adapter=self.adapter,
            receipt=self.receipt,
            error=self.error,
            failure=self.failure,
        )


class Journal:
    """The node's tasks, by the CID of their TaskSpec, in the order in which they were accepted."""

    def __init__(self, path: Path) -> None:
        """The file is created at the first write; raises `NodeError` when it is damaged or of another version."""
        self._tables = SqliteTables(journal_file(path), SCHEMA, SCHEMA_VERSION)

    def accept(self, hint: AssignHint, plan: Cid) -> JournalEntry:
        """Accept a task, once: a second call returns the current entry. `plan` is the plan of its lease."""
        entry = JournalEntry(hint=hint, plan=plan)
        with self._tables.writing() as database:
            database.execute(
                "INSERT INTO tasks (task, entry) VALUES (?, ?) ON CONFLICT (task) DO NOTHING",
                (hint.task, entry.model_dump_json()),
            )
        return self[hint.task]

    def get(self, task: Cid) -> JournalEntry | None:
        """The entry of a task, if it was ever accepted."""
        with self._tables.reading() as database:
            row = database.execute("SELECT entry FROM tasks WHERE task = ?", (task,)).fetchone()
        return None if row is None else JournalEntry.model_validate_json(row[0])

    def __getitem__(self, task: Cid) -> JournalEntry:
        """The entry of a task; raises `KeyError`."""
        entry = self.get(task)
        if entry is None:
            raise KeyError(task)
        return entry

    def save(self, entry: JournalEntry, now: float) -> None:
        """Replace a task's entry, durably; one that has ended is never changed again."""
        with self._tables.writing() as database:
            changed = database.execute(
                "UPDATE tasks SET entry = ?, ended_at = ? WHERE task = ? AND ended_at IS NULL",
                (entry.model_dump_json(), now if entry.ended else None, entry.task),
            ).rowcount
        if not changed:
            raise NodeError(f"The task {entry.task} is unknown or has ended; it cannot become {entry.state}.")

    def unfinished(self) -> list[JournalEntry]:
        """Tasks that have not ended, in the order in which they were accepted."""
        with self._tables.reading() as database:
            rows = database.execute("SELECT entry FROM tasks WHERE ended_at IS NULL ORDER BY number").fetchall()
        return [JournalEntry.model_validate_json(row[0]) for row in rows]

    def counts(self) -> Mapping[str, int]:
        """How many tasks are in each state."""
        with self._tables.reading() as database:
            rows = database.execute(
                "SELECT json_extract(entry, '$.state') AS state, COUNT(*) FROM tasks GROUP BY state ORDER BY state"
            ).fetchall()
        return dict(rows)

    def recent(self, limit: int) -> list[JournalEntry]:
        """The tasks that were accepted last, newest first."""
        with self._tables.reading() as database:
            rows = database.execute("SELECT entry FROM tasks ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
        return [JournalEntry.model_validate_json(row[0]) for row in rows]

    def forget_before(self, time: float) -> list[JournalEntry]:
        """Remove and return tasks that ended before `time`."""
        with self._tables.writing() as database:
            rows = database.execute("DELETE FROM tasks WHERE ended_at < ? RETURNING entry", (time,)).fetchall()
        return [JournalEntry.model_validate_json(row[0]) for row in rows]


def journal_file(path: Path) -> SqliteFile:
    """The journal at `path`; raises `NodeError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="the journal of the tasks that this node accepted",
        remedy=f"Move {path.name}, {path.name}-wal and {path.name}-shm in {path.parent} away and start the node again: "
        "it begins with an empty journal, and its unfinished tasks are assigned again once its leases run out.",
        error=NodeError,
    )
