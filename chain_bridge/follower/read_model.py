"""A copy of the contract's state and payouts in SQLite, up to the follower's cursor.

Each page of the chain's transactions is written together with its cursor in one SQLite transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from atlas.disk.sqlite_file import SqliteFile, transaction
from atlas.ids import JobId
from chain_bridge.client.messages import Job, Node, RegisteredModel, Round
from chain_bridge.errors import ChainError
from chain_bridge.follower.events import (
    ContractEvent,
    PaidCredit,
    Touched,
    WatchedContract,
    is_of,
    payouts_in,
    touched_by,
)

OVERLAP_BLOCKS = 10
"""Blocks that each pass reads again, because a node may index transactions after it serves their block."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor (id INTEGER PRIMARY KEY CHECK (id = 1), height INTEGER NOT NULL, block TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (tx TEXT, event INTEGER, height INTEGER NOT NULL, PRIMARY KEY (tx, event));
CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rounds (job INTEGER, round INTEGER, body TEXT NOT NULL, PRIMARY KEY (job, round));
CREATE TABLE IF NOT EXISTS models (name TEXT, version INTEGER, body TEXT NOT NULL, PRIMARY KEY (name, version));
CREATE TABLE IF NOT EXISTS payouts (
    tx TEXT, event INTEGER, height INTEGER NOT NULL, kind TEXT NOT NULL, address TEXT NOT NULL, amount TEXT NOT NULL,
    node INTEGER, job INTEGER, round INTEGER, PRIMARY KEY (tx, event)
);
"""
_TABLES = ("cursor", "seen", "nodes", "jobs", "rounds", "models", "payouts")


@dataclass(frozen=True)
class Cursor:
    """The newest block that was read, and its id, which identifies the chain: a reset chain has another id there."""

    height: int
    block: str


@dataclass(frozen=True)
class Entities:
    """The present state of touched entities, from the contract. `gone` are rounds that have no submission any more."""

    nodes: list[Node] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    gone: list[tuple[JobId, int]] = field(default_factory=list)
    models: list[RegisteredModel] = field(default_factory=list)


class ReadModel:
    """The SQLite file. Any number of processes may read it; writers take turns."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Like every method, raises `ChainError` when the file cannot be used."""
        self._file = read_model_file(path)
        self._file.create(_SCHEMA)
        self._database = self._file.connect(any_thread=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def cursor(self) -> Cursor | None:
        """The newest block that was read; None for an empty copy."""
        rows = self._rows("SELECT height, block FROM cursor")
        return Cursor(*rows[0]) if rows else None

    def apply(
        self,
        events: Sequence[ContractEvent],
        contract: WatchedContract,
        look_up: Callable[[Touched], Entities],
        cursor: Cursor,
    ) -> int:
        """Apply the events of complete transactions, in order, advance the cursor, and return how many were new.

        `look_up` reads the entities that new events touch from the chain. If it raises, the file stays unchanged.
        """
        with self._writing():
            new = self._new(event for event in events if is_of(event, contract))
            if new:
                self._store(look_up(touched_by(new)))
                self._store_payouts(payouts_in(new, contract))
                rows = [(*event.key, event.height) for event in new]
                self._database.executemany("INSERT INTO seen VALUES (?, ?, ?)", rows)
            before = self.cursor()
            if before is None or before.height < cursor.height:
                self._database.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?)", (cursor.height, cursor.block))
                self._database.execute("DELETE FROM seen WHERE height <= ?", (cursor.height - 2 * OVERLAP_BLOCKS,))
        return len(new)

    def forget(self, cursor: Cursor) -> None:
        """Clear the copy after a reset of the chain, unless another process moved the cursor."""
        with self._writing():
            if self.cursor() == cursor:
                for table in _TABLES:
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608

    def nodes(self) -> list[Node]:
        """The nodes, by id."""
        return [Node.model_validate_json(body) for body in self._bodies("SELECT body FROM nodes ORDER BY id")]

    def jobs(self) -> list[Job]:
        """The jobs, by id."""
        return [Job.model_validate_json(body) for body in self._bodies("SELECT body FROM jobs ORDER BY id")]

    def rounds(self) -> list[Round]:
        """Every submitted round, by job and number."""
        rows = self._bodies("SELECT body FROM rounds ORDER BY job, round")
        return [Round.model_validate_json(body) for body in rows]

    def models(self) -> list[RegisteredModel]:
        """The registered models, by name and version."""
        rows = self._bodies("SELECT body FROM models ORDER BY name, version")
        return [RegisteredModel.model_validate_json(body) for body in rows]

    def payouts(self) -> list[PaidCredit]:
        """The payouts, in the order in which they happened."""
        rows = self._rows(
            "SELECT tx, event, height, kind, address, amount, node, job, round FROM payouts ORDER BY height, tx, event"
        )
        return [
            PaidCredit(tx, event, height, kind, address, int(amount), node, job, number)
            for tx, event, height, kind, address, amount, node, job, number in rows
        ]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._file.problems(), transaction(self._database):
            yield

    def _rows(self, query: str) -> list[Any]:
        with self._file.problems():
            return self._database.execute(query).fetchall()

    def _new(self, events: Iterator[ContractEvent]) -> list[ContractEvent]:
        """The events that were not applied before, each once."""
        listed = {event.key: event for event in events}
        known = "SELECT 1 FROM seen WHERE tx = ? AND event = ?"
        return [event for key, event in listed.items() if self._database.execute(known, key).fetchone() is None]

    def _store(self, entities: Entities) -> None:
        write = self._database.executemany
        write("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?)", [(n.id, n.owner, _body(n)) for n in entities.nodes])
        write("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)", [(j.id, j.owner, _body(j)) for j in entities.jobs])
        write("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?)", [(r.job, r.round, _body(r)) for r in entities.rounds])
        write("DELETE FROM rounds WHERE job = ? AND round = ?", entities.gone)
        rows = [(model.name, model.version, _body(model)) for model in entities.models]
        write("INSERT OR REPLACE INTO models VALUES (?, ?, ?)", rows)

    def _store_payouts(self, payouts: list[PaidCredit]) -> None:
        rows = [
            (p.transaction, p.index, p.height, p.kind, p.address, str(p.amount), p.node, p.job, p.round)
            for p in payouts
        ]
        self._database.executemany("INSERT OR IGNORE INTO payouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _bodies(self, query: str) -> list[Any]:
        return [body for (body,) in self._rows(query)]


def read_model_file(path: Path) -> SqliteFile:
    """The SQLite file of the read model at `path`; raises `ChainError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="a local copy of the contract's state",
        remedy=f"Remove {path.name}, {path.name}-wal and {path.name}-shm in {path.parent}: the copy is read again from "
        "the chain.",
        error=ChainError,
    )


def _body(answer: Node | Job | Round | RegisteredModel) -> str:
    return answer.model_dump_json()
