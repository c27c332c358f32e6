"""Messages are on disk before they are sent, so that a crash at any point neither loses nor repeats one."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from atlas.disk.locks import try_exclusive
from chain_bridge.client.messages import Tx
from chain_bridge.client.signed import BlockRef, Signed
from chain_bridge.errors import ChainError, OutboxError, ReplayedKey
from chain_bridge.outbox import file as file
from chain_bridge.outbox.rows import Backlog, OutboxEntry, canonical, is_one_time, is_own_key


class Outbox:
    """The outbox of one key on one chain, in a SQLite file. Threads and processes may share it; one sends at a time.

    `step` is called with a name between the steps of a delivery; tests kill the process there.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        step: Callable[[str], None] = lambda name: None,
        lock_seconds: float = 180.0,
    ) -> None:
        """`lock_seconds` bounds the wait for another process that sends. Raises `OutboxError` for an invalid file."""
        self.path = path
        self.step = step
        self._clock = clock
        self._lock_seconds = lock_seconds
        self._thread_lock = Lock()
        file.create(path)
        self._forget_old()

    def belongs_to(self, chain_id: str, address: str) -> None:
        """Bind the outbox to a chain and a key; raises `OutboxError` when it belongs to another chain or key."""
        owner = f"{address} on {chain_id}"
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO facts VALUES ('owner', ?)", (owner,))
            found = file.fact(database, "owner")
        if found != owner:
            raise OutboxError(
                f"The outbox {self.path} belongs to {found}, not to {owner}. Give each account its own file."
            )

    def record(self, contract: str, key: str, name: str, body: Any, funds: int = 0) -> OutboxEntry:
        """Record a message under a key, or return the existing entry if it has the same message.

        Raises `ReplayedKey` when the key belongs to another message.
        """
        if is_own_key(key):
            raise ChainError(f"The key {key} has a form that is reserved for the outbox. Choose another one.")
        return self._record(contract, key, name, body, funds)

    def record_now(self, contract: str, key: str, name: str, body: Any, funds: int) -> OutboxEntry:
        """As `record`, with a key that the outbox generates; a refused or withdrawn entry waits again."""
        entry = self._record(contract, key, name, body, funds)
        if entry.state not in ("refused", "withdrawn"):
            return entry
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET state = 'waiting', log = '', codespace = '', code = 0, tries = 0 WHERE id = ?",
                (entry.id,),
            )
        return self.by_id(entry.id)

    def entry(self, contract: str, key: str) -> OutboxEntry | None:
        """The entry recorded under a key, or None."""
        with self._transaction() as database:
            return file.find(database, contract, key)

    def by_id(self, number: int) -> OutboxEntry:
        """One entry; raises `OutboxError` when it was deleted."""
        with self._transaction() as database:
            row = database.execute("SELECT * FROM entries WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise OutboxError(f"The outbox {self.path} no longer has the message {number}.")
        return file.entry(row)

    def entries(self, *states: str) -> list[OutboxEntry]:
        """The entries in these states, in the order of recording; all entries if no state is given."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        with self._transaction() as database:
            rows = database.execute(f"SELECT * FROM entries {where} ORDER BY id", states).fetchall()  # noqa: S608
        return [file.entry(row) for row in rows]

    def backlog(self) -> Backlog:
        """The number of entries by state."""
        with self._transaction() as database:
            return file.backlog(database)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the sender's lock among threads and processes; raises `OutboxError` after `lock_seconds`."""
        with self._thread_lock:
            lock = self.path.with_name(f"{self.path.name}.lock")
            with try_exclusive(lock, OutboxError, self._lock_seconds) as mine:
                if not mine:
                    raise OutboxError(
                        f"Another process has been sending from {self.path} for {self._lock_seconds:g} s. End that "
                        "process first."
                    )
                yield

    # Records of a delivery; each method is one SQLite transaction.

    def flight(self) -> Signed | None:
        """The signed transaction whose outcome is not recorded, or None."""
        with self._transaction() as database:
            return file.flight(database)

    def sign(self, entries: list[OutboxEntry], signed: Signed) -> None:
        """Record the transaction that carries these entries, before it is broadcast."""
        row = (signed.data, signed.hash, signed.sequence, signed.timeout_height, *signed.place)
        with self._transaction() as database:
            database.execute("INSERT INTO flight VALUES (1, ?, ?, ?, ?, ?, ?)", row)
            file.set_state(database, entries, "signed")
            file.set_anchor(database, signed.place)

    def land(self, outcomes: list[tuple[OutboxEntry, Tx]]) -> None:
        """Record the outcomes of the flight's entries."""
        with self._transaction() as database:
            for entry, tx in outcomes:
                database.execute(
                    "UPDATE entries SET state = 'landed', tx = ? WHERE id = ?", (json.dumps(asdict(tx)), entry.id)
                )
            database.execute("DELETE FROM flight")

    def free(self, tried: bool = False, alone: bool = False) -> None:
        """Record that the flight did not happen: its entries wait again, each for a separate transaction if `alone`."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET state = 'waiting', tries = tries + ?, alone = MAX(alone, ?) WHERE state = 'signed'",
                (tried, alone),
            )
            database.execute("DELETE FROM flight")

    def refuse(self, entry: OutboxEntry, log: str, codespace: str = "", code: int = 0) -> None:
        """Record that the chain refused an entry; the other entries of its flight wait again."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET state = 'refused', log = ?, codespace = ?, code = ? WHERE id = ?",
                (log, codespace, code, entry.id),
            )
            database.execute("UPDATE entries SET state = 'waiting' WHERE state = 'signed'")
            database.execute("DELETE FROM flight")

    def withdraw(self, entry: OutboxEntry, reason: str) -> None:
        """Withdraw an entry if it still waits; it will not be sent."""
        with self._transaction() as database:
            database.execute(
                "UPDATE entries SET state = 'withdrawn', log = ? WHERE id = ? AND state = 'waiting'", (reason, entry.id)
            )

    def forget(self, entry: OutboxEntry) -> None:
        """Delete a decided entry with a one-time key, whose outcome the caller already has."""
        if is_one_time(entry.key):
            with self._transaction() as database:
                database.execute("DELETE FROM entries WHERE id = ?", (entry.id,))

    def anchor(self) -> BlockRef | None:
        """The newest block at the last signing; None before the first."""
        with self._transaction() as database:
            return file.anchor(database)

    def start_over(self, reason: str) -> int:
        """Begin the records of a new chain, mark the old chain's undecided entries as `orphaned`, and count them."""
        with self._transaction() as database:
            return file.start_over(database, reason)

    def set_aside_other_contracts(self, contract: str) -> int:
        """Mark entries that wait for another contract as `orphaned`, and return their number."""
        reason = f"recorded for another contract than {contract}"
        with self._transaction() as database:
            return database.execute(
                "UPDATE entries SET state = 'orphaned', log = ? WHERE state = 'waiting' AND contract != ?",
                (reason, contract),
            ).rowcount

    def _record(self, contract: str, key: str, name: str, body: Any, funds: int) -> OutboxEntry:
        text = canonical(body)
        with self._transaction() as database:
            found = file.find(database, contract, key)
            if found is None:
                file.insert(database, contract, key, name, text, funds, self._clock())
                found = file.find(database, contract, key)
        if found is None or (found.name, canonical(found.body), found.funds) != (name, text, funds):
            raise ReplayedKey(
                f"The key {key} already belongs to another message ({found and found.name}), not for this {name}. "
                "Each message needs its own key: choose another one, or repeat the first message unchanged."
            )
        self.step("recorded")
        return found

    def _forget_old(self) -> None:
        with self._transaction() as database:
            file.forget_one_time(database, self._clock())

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection per transaction: safe for threads, and for processes that fork."""
        with file.opened(self.path) as database:
            yield database
