"""Small helpers for tables in markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

Entries = Mapping[str, Any]


def of_row(entries: Entries, row: str) -> dict[str, Any]:
    """The entries of a row by the names of their points; raises `KeyError` when it has none."""
    found = {key.partition("/")[2]: entry for key, entry in entries.items() if key.startswith(f"{row}/")}
    if not found:
        raise KeyError(row)
    return found


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A markdown table; all columns but the first are aligned to the right."""
    rule = "|".join(["---", *["--:"] * (len(heads) - 1)])
    return "\n".join([f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def verdict(passed: bool) -> str:
    """Whether a target is met."""
    return "pass" if passed else "**fail**"


def percent(accuracy: float | None) -> str:
    """An accuracy as a percentage, or `no number` for None and NaN."""
    return "no number" if accuracy is None or math.isnan(accuracy) else f"{accuracy:.1%}"


def spread(values: Sequence[float]) -> str:
    """The mean and the range."""
    return f"{mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"
