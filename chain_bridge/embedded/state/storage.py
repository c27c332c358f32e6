"""A contract's keys and values, and ordered iteration over them."""

from collections.abc import Iterator

from chain_bridge.embedded.errors import VmError
from chain_bridge.embedded.gas import CONTRACT_PREFIX, GasMeter
from chain_bridge.embedded.state.database import Database

_PAGE = 32

Entry = tuple[bytes, bytes]


class Storage:
    """The state that one call of one contract may read and, unless it is a query, write."""

    def __init__(self, database: Database, contract: str, gas: GasMeter, *, read_only: bool = False) -> None:
        self._database = database
        self._contract = contract
        self._gas = gas
        self._read_only = read_only

    def get(self, key: bytes) -> bytes | None:
        """The value under a key."""
        row = self._database.execute(
            "SELECT value FROM state WHERE contract = ? AND key = ?", self._contract, key
        ).fetchone()
        value: bytes | None = row[0] if row else None
        self._gas.charge_read(_size(key, value or b""))
        return value

    def set(self, key: bytes, value: bytes) -> None:
        """Store a value under a key; raises `VmError` in a query."""
        self._refuse_in_query()
        self._gas.charge_write(_size(key, value))
        self._database.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", self._contract, key, value)

    def remove(self, key: bytes) -> None:
        """Delete a key, whether or not it exists; raises `VmError` in a query."""
        self._refuse_in_query()
        self._gas.charge_remove()
        self._database.execute("DELETE FROM state WHERE contract = ? AND key = ?", self._contract, key)

    def scan(self, start: bytes | None, end: bytes | None, *, descending: bool = False) -> Iterator[Entry]:
        """Entries with start <= key < end, ordered by the bytes of their keys.

        Reads in pages that begin after the last key, so that no cursor stays open while the contract writes.
        As in the SDK, the first entry is charged when the iterator opens, and each entry when the iterator leaves it.
        """
        opened = False
        while page := self._page(start, end, descending):
            for entry in page:
                if not opened:
                    self._gas.charge_step(_size(*entry))
                    opened = True
                self._gas.charge_step(_size(*entry))
                yield entry
            if len(page) < _PAGE:
                break
            last = page[-1][0]
            start, end = (start, last) if descending else (last + b"\0", end)
        if not opened:
            self._gas.charge_step(0)

    def _page(self, start: bytes | None, end: bytes | None, descending: bool) -> list[Entry]:
        clauses, values = ["contract = ?"], [self._contract]
        bounds: list[bytes] = []
        if start is not None:
            clauses.append("key >= ?")
            bounds.append(start)
        if end is not None:
            clauses.append("key < ?")
            bounds.append(end)
        order = "DESC" if descending else "ASC"
        statement = f"SELECT key, value FROM state WHERE {' AND '.join(clauses)} ORDER BY key {order} LIMIT {_PAGE}"  # noqa: S608
        return self._database.execute(statement, *values, *bounds).fetchall()

    def _refuse_in_query(self) -> None:
        if self._read_only:
            raise VmError("a query must not write")


def _size(key: bytes, value: bytes) -> int:
    return CONTRACT_PREFIX + len(key) + len(value)
