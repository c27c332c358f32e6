"""What a store knows of the places that it reads from and writes to: who failed, who lied, who holds its copies."""

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
    """A file of what is known of IPFS places; it raises `ContentError` when it cannot be used."""
    return SqliteFile(
        path,
        holds="how IPFS places behaved and which of them hold copies",
        remedy=f"Remove {path.name}, {path.name}-wal and {path.name}-shm in {path.parent} and run "
        "`atlas content verify`: the file is only a memory aid.",
        error=ContentError,
    )


class _State(NamedTuple):
    paused_until: float
    distrusted_until: float


class Health:
    """Who failed, and is left alone for a pause that doubles and ends; and who lied, and is not asked for a day.

    A failure is silence or an error; a lie is bytes that do not fit their CID. Lacking content is neither.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        """Open or create the file, or remember in memory only; `clock` gives seconds since the epoch."""
        self._file = _File(path, _HEALTH)
        self._clock = clock

    def failed(self, place: str, why: object) -> None:
        """Note that a place did not answer, or could not; that it still cannot during its pause is no news."""
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
        log.warning("%s is left alone for %g s: %s", place, pause, why)

    def lied(self, place: str, why: object) -> None:
        """Note that a place gave other bytes than it was asked for."""
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO places (name) VALUES (?)", (place,))
            until = self._clock() + DISTRUST_SECONDS
            database.execute("UPDATE places SET distrusted_until = ? WHERE name = ?", (until, place))
        log.error("%s lied and is not read from for %g h: %s", place, DISTRUST_SECONDS / 3600, why)

    def answered(self, place: str) -> None:
        """Note that a place did as it should, which ends its pause; a lie is not forgiven."""
        with self._file.transaction() as database:
            if database.execute("SELECT 1 FROM places WHERE name = ? AND failures > 0", (place,)).fetchone():
                database.execute("UPDATE places SET failures = 0, paused_until = 0 WHERE name = ?", (place,))

    def rested(self, places: Sequence[Place]) -> list[Place]:
        """Those that neither pause nor lied, in the order given."""
        states, now = self._states(), self._clock()
        return [place for place in places if max(states.get(place.name, (0.0,))) <= now]

    def order(self, places: Sequence[Place]) -> list[Place]:
        """Whom to ask, in order: the rested ones as given, then those in a pause that ends soonest; no liars."""
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
    """How long a place is left alone after so many failures in a row: 5 s, then twice as long each time, to 300 s."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))


class Copies:
    """The copies that a store made on nodes, and what it still owes: copies to make, and copies to let go.

    A copy is noted before it is made and forgotten after it is gone, so that `kill -9` leaves none unknown.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = _File(path, _COPIES)

    def owe(self, cids: Iterable[str]) -> None:
        """Remember that contents have too few copies."""
        with self._file.transaction() as database:
            database.executemany("INSERT OR IGNORE INTO short (cid) VALUES (?)", [(cid,) for cid in cids])

    def settle(self, cids: Iterable[str]) -> None:
        """Contents have enough copies, or need none."""
        with self._file.transaction() as database:
            database.executemany("DELETE FROM short WHERE cid = ?", [(cid,) for cid in cids])

    def short(self, most: int = -1) -> list[str]:
        """Contents with too few copies, as far as is known; `most` of them, or all."""
        with self._file.transaction() as database:
            return [cid for (cid,) in database.execute("SELECT cid FROM short ORDER BY rowid LIMIT ?", (most,))]

    def note(self, cids: Iterable[str], place: str) -> None:
        """Copies are about to be made at a place."""
        with self._file.transaction() as database:
            database.executemany(
                "INSERT OR REPLACE INTO copies (cid, place) VALUES (?, ?)", [(cid, place) for cid in cids]
            )

    def let_go(self, cid: str, places: Iterable[str]) -> None:
        """Our copies of a content at these places are not wanted any more."""
        with self._file.transaction() as database:
            database.executemany(
                "UPDATE copies SET unwanted = 1 WHERE cid = ? AND place = ?", [(cid, place) for place in places]
            )

    def unwanted(self, most: int = -1) -> list[tuple[str, str]]:
        """CIDs and places of copies to let go; `most` of them, or all."""
        with self._file.transaction() as database:
            query = "SELECT cid, place FROM copies WHERE unwanted = 1 ORDER BY rowid LIMIT ?"
            return list(database.execute(query, (most,)))

    def gone(self, cid: str, place: str) -> None:
        """A copy is no more, unless it is wanted again."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM copies WHERE cid = ? AND place = ? AND unwanted = 1", (cid, place))
