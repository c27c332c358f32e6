"""Searches for transactions: `key='value' AND tx.height>N` (the part of CometBFT's query language that clients use)."""

import re
from typing import NamedTuple

from chain_bridge.embedded.errors import SearchRefused
from chain_bridge.embedded.state.database import Database

_CONDITION = re.compile(
    r"\s*(?P<key>[A-Za-z_][\w.-]*)\s*(?P<operator>>=|<=|=|>|<)\s*(?:'(?P<text>[^']*)'|(?P<number>\d+))\s*(?:AND\b|$)"
)
_HEIGHT, _HASH = "tx.height", "tx.hash"


class Condition(NamedTuple):
    """A comparison of a key with a value."""

    key: str
    operator: str
    value: str | int


def parse_search(text: str) -> list[Condition]:
    """The conditions of a search, all of which must hold; raises `SearchRefused`."""
    if not text:
        raise SearchRefused("query cannot be empty")
    conditions, position = [], 0
    while position < len(text):
        found = _CONDITION.match(text, position)
        if found is None or (text[: found.end()].endswith("AND") and not text[found.end() :].strip()):
            expected = "expected key='value' AND tx.height>N"
            raise SearchRefused(f"failed to search for txs: offset {position} of {text!r}: {expected}")
        value = int(found["number"]) if found["text"] is None else found["text"]
        conditions.append(Condition(found["key"], found["operator"], value))
        position = found.end()
    for condition in conditions:
        _check(condition)
    return conditions


def search(
    database: Database, conditions: list[Condition], *, descending: bool, limit: int, offset: int
) -> list[bytes]:
    """The records of matching transactions (serialized `GetTxResponse`), ordered by height."""
    where, values = _where(conditions)
    order = "DESC" if descending else "ASC"
    statement = f"SELECT answer FROM transactions t WHERE {where} ORDER BY height {order} LIMIT ? OFFSET ?"  # noqa: S608
    return [answer for (answer,) in database.execute(statement, *values, limit, offset)]


def count(database: Database, conditions: list[Condition]) -> int:
    """The number of matching transactions."""
    where, values = _where(conditions)
    (number,) = database.execute(f"SELECT COUNT(*) FROM transactions t WHERE {where}", *values).fetchone()  # noqa: S608
    return int(number)


def _where(conditions: list[Condition]) -> tuple[str, list[object]]:
    clauses, values = _heights(conditions, "t")
    # The height is the last column of the index of attributes, so its range limits each lookup.
    within, bounds = _heights(conditions, "a")
    for key, operator, value in conditions:
        if key == _HASH:
            clauses.append("t.hash = ?")
            values.append(str(value).upper())
        elif key != _HEIGHT:
            # Attributes that are numbers are compared as numbers.
            compared = "= ?" if operator == "=" else f"GLOB '[0-9]*' AND CAST(a.value AS INTEGER) {operator} ?"
            found = " AND ".join(["a.name = ?", f"a.value {compared}", *within])
            clauses.append(f"t.height IN (SELECT a.height FROM attributes a WHERE {found})")  # noqa: S608
            values += [key, str(value) if operator == "=" else value, *bounds]
    return " AND ".join(clauses), values


def _heights(conditions: list[Condition], table: str) -> tuple[list[str], list[object]]:
    bounds = [condition for condition in conditions if condition.key == _HEIGHT]
    return [f"{table}.height {item.operator} ?" for item in bounds], [item.value for item in bounds]


def _check(condition: Condition) -> None:
    key, operator, value = condition
    if isinstance(value, int) and value >= 2**63:
        raise SearchRefused(f"failed to search for txs: {value} is too large a number")
    if isinstance(value, str) and (operator != "=" or key == _HEIGHT):
        raise SearchRefused(f"failed to search for txs: {key} {operator} '{value}': got string, wanted number")
