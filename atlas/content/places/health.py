"""A store's records of its places: which failed, which returned wrong bytes, which hold its copies."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from atlas.disk.sqlite_file import SqliteFile, transaction
from atlas.errors import ContentError
from atlas.ids import Cid

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
DISTRUST_SECONDS = 24 * 3600.0

_HEALTH = """
CREATE TABLE IF NOT EXISTS places (
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL DEFAULT 0,
    paused_until REAL NOT NULL DEFAULT 0,
    distrusted_until REAL NOT NULL DEFAULT 0
)
"""
_COPIES = """
CREATE TABLE IF NOT EXISTS copies (
    cid TEXT NOT NULL,
    place TEXT NOT NULL,
    unwanted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (cid, place)
);
CREATE TABLE IF NOT EXISTS short (cid TEXT PRIMARY KEY)
"""


class Named(Protocol):
    """A place that has a name."""

    @property
    def name(self) -> str:
        """Its address."""


Place = TypeVar("Place", bound=Named)


class _File:
    """A small SQLite file, or memory, for many threads and processes; raises `ContentError` when it is damaged."""

    def __init__(self, path: Path | None, schema: str) -> None:
        self._lock = threading.Lock()
        self._file = None if path is None else places_file(path)
        if self._file is None:
            self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._database.executescript(schema)
        else:
            self._file.create(schema)
            self._database = self._file.connect(any_thread=True)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        problems = nullcontext() if self._file is None else self._file.problems()
        with self._lock, problems, transaction(self._database):
            yield self._database


def places_file(path: Path) -> SqliteFile:
    """Open the file of records about IPFS places; its use raises `ContentError` when it is damaged."""
    return SqliteFile(
        path,
        holds="failures of IPFS places, and which of them hold copies",
        remedy=f"Remove {path.name}, {path.name}-wal and {path.name}-shm in {path.parent} and run `atlas content "
        "verify`: the file is only a cache.",
        error=ContentError,
    )


class _State(NamedTuple):
    paused_until: float
    distrusted_until: float


class Health:
    """Failing places, with exponential back-off, and places that returned wrong bytes, which are excluded for a day.

    A failure is a timeout or an error; wrong bytes are those that do not match their CID. Missing content is neither.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        """Open or create the file, or keep records in memory only; `clock` returns seconds since the epoch."""
        self._file = _File(path, _HEALTH)
        self._clock = clock

    def failed(self, place: str, why: object) -> None:
        """Record that a place failed; further failures during its pause are ignored."""
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO places (name) VALUES (?)", (place,))
            query = "SELECT failures, paused_until FROM places WHERE name = ?"
            failures, paused_until = database.execute(query, (place,)).fetchone()
            now, pause = self._clock(), pause_seconds(failures + 1)
            if now < paused_until:
                return
            database.execute(
                "UPDATE places SET failures = failures + 1, paused_until = ? WHERE name = ?", (now + pause, place)
            )
        log.warning("%s failed and is paused for %g s: %s", place, pause, why)

    def returned_wrong_bytes(self, place: str, why: object) -> None:
        """Record that a place returned wrong bytes."""
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO places (name) VALUES (?)", (place,))
            until = self._clock() + DISTRUST_SECONDS
            database.execute("UPDATE places SET distrusted_until = ? WHERE name = ?", (until, place))
        log.error("%s sent wrong bytes and is not read from for %g h: %s", place, DISTRUST_SECONDS / 3600, why)

    def answered(self, place: str) -> None:
        """Record a correct answer, which ends the place's pause but not its exclusion for wrong bytes."""
        with self._file.transaction() as database:
            if database.execute("SELECT 1 FROM places WHERE name = ? AND failures > 0", (place,)).fetchone():
                database.execute("UPDATE places SET failures = 0, paused_until = 0 WHERE name = ?", (place,))

    def available(self, places: Sequence[Place]) -> list[Place]:
        """The places that are neither paused nor excluded, in the given order."""
        states, now = self._states(), self._clock()
        return [place for place in places if max(states.get(place.name, (0.0,))) <= now]

    def order(self, places: Sequence[Place]) -> list[Place]:
        """The places to ask, in order: the rested ones as given, then the paused ones by end of pause; no excluded
        ones.
        """
        states, now = self._states(), self._clock()

        def pause(place: Place) -> float:
            state = states.get(place.name)
            return state.paused_until if state and state.paused_until > now else 0.0

        honest = [place for place in places if place.name not in states or states[place.name].distrusted_until <= now]
        return sorted(honest, key=pause)

    def _states(self) -> dict[str, _State]:
        with self._file.transaction() as database:
            found = database.execute("SELECT name, paused_until, distrusted_until FROM places").fetchall()
        return {name: _State(paused, distrusted) for name, paused, distrusted in found}


def pause_seconds(failures: int) -> float:
    """The back-off after this many failures in a row: 5 s, doubled each time, up to 300 s."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))


class Copies:
    """The copies that a store made on nodes, and its open work: copies to make, and copies to unpin.

    A copy is recorded before it is made, and its record is deleted after it is removed, so that `kill -9` leaves no
    unrecorded copy.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = _File(path, _COPIES)

    def owe(self, cids: Iterable[Cid]) -> None:
        """Record that contents have too few copies."""
        with self._file.transaction() as database:
            database.executemany("INSERT OR IGNORE INTO short (cid) VALUES (?)", [(cid,) for cid in cids])

    def settle(self, cids: Iterable[Cid]) -> None:
        """Record that contents have enough copies, or need none."""
        with self._file.transaction() as database:
            database.executemany("DELETE FROM short WHERE cid = ?", [(cid,) for cid in cids])

    def short(self, most: int = -1) -> list[Cid]:
        """Contents recorded with too few copies; at most `most` of them, or all."""
        with self._file.transaction() as database:
            return [Cid(cid) for (cid,) in database.execute("SELECT cid FROM short ORDER BY rowid LIMIT ?", (most,))]

    def note(self, cids: Iterable[Cid], place: str) -> None:
        """Record that copies are about to be made at a place."""
        with self._file.transaction() as database:
            database.executemany(
                "INSERT OR REPLACE INTO copies (cid, place) VALUES (?, ?)", [(cid, place) for cid in cids]
            )

    def let_go(self, cid: Cid, places: Iterable[str]) -> None:
        """Record that our copies of a content at these places are to be unpinned."""
        with self._file.transaction() as database:
            database.executemany(
                "UPDATE copies SET unwanted = 1 WHERE cid = ? AND place = ?", [(cid, place) for place in places]
            )

    def unwanted(self, most: int = -1) -> list[tuple[Cid, str]]:
        """CIDs and places of copies to unpin; at most `most` of them, or all."""
        with self._file.transaction() as database:
            query = "SELECT cid, place FROM copies WHERE unwanted = 1 ORDER BY rowid LIMIT ?"
            return [(Cid(cid), place) for cid, place in database.execute(query, (most,))]

    def gone(self, cid: Cid, place: str) -> None:
        """Delete the record of a removed copy, unless the copy is wanted again."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM copies WHERE cid = ? AND place = ? AND unwanted = 1", (cid, place))
