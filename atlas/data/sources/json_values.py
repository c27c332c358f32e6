"""JSON objects as rows: the wanted columns of each, and its problems."""

import json
from collections.abc import Iterable
from decimal import Decimal

from atlas.data.bad_rows import BadRow
from atlas.data.sources.source_row import RowLocation, SourceRow, Wanted
from atlas.spec.partition_names import nfc

MOST_DIGITS = 1000


class _Object(dict[str, object]):
    """A JSON object, with its duplicate keys in `twins`."""

    twins: frozenset[str] = frozenset()


def _collect(pairs: Iterable[tuple[str, object]]) -> _Object:
    pairs = list(pairs)
    found = _Object(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        found.twins = frozenset(key for key in found if keys.count(key) > 1)
    return found


def _whole(digits: str) -> int | Decimal:
    """Parse an integer; one too long for `int` becomes a `Decimal`, so that the row's other columns still parse."""
    return int(digits) if len(digits) <= MOST_DIGITS else Decimal(digits)


decoder = json.JSONDecoder(object_pairs_hook=_collect, parse_int=_whole)


def row_of(value: object, number: int, place: RowLocation, wanted: Wanted) -> SourceRow:
    """The wanted columns of a JSON value; a bad row if it is not an object, or a column is missing or duplicate.

    Duplicate keys of unused columns are ignored.
    """
    if not isinstance(value, _Object):
        return SourceRow(number, place, {}, BadRow(f"must be a JSON object, found {type(value).__name__}"))
    values = {}
    for column, setting in wanted.columns.items():
        key = column if column in value else next((key for key in value if nfc(key) == nfc(column)), None)
        if key is None:
            return SourceRow(number, place, {}, BadRow(f"has {wanted.missing(column, list(value))}", setting))
        if key in value.twins:
            return SourceRow(number, place, {}, BadRow(f"has the key {column!r} more than once"))
        values[column] = value[key]
    return SourceRow(number, place, values)
