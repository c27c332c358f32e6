"""Rows of a shard: read them from canonical JSONL, and compute the order in which training uses them."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from atlas.errors import DataError
from atlas.spec.job import JobSpec
from atlas.spec.partition_names import spellings


@dataclass(frozen=True)
class Row:
    """One example: its text, and its class index when the task classifies."""

    text: str
    label: int | None = None


def read_rows(path: Path, spec: JobSpec) -> list[Row]:
    """Read every row of a JSONL file; raises `DataError` naming the first row that does not fit the spec."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the rows in {path}: {error}.") from error
    classes = {name: spec.dataset.labels.index(label) for name, label in spellings(spec.dataset.labels).items()}
    rows = [
        _parse_row(line, f"Row {number} of {path.name}", spec, classes) for number, line in enumerate(lines, 1) if line
    ]
    if not rows:
        raise DataError(f"{path} holds no rows; expected JSON objects with a text, one a line.")
    return rows


def row_order(rows: int, seed: int, length: int) -> list[int]:
    """Row indices in the order of training: one shuffled pass after the other, cut at `length`.

    A pass sorts the rows by SHA-256 of `seed:pass:row`, so that any program in any language finds the same order.
    """
    order: list[int] = []
    while len(order) < length:
        prefix = f"{seed}:{len(order) // rows}:"
        order.extend(sorted(range(rows), key=lambda row: hashlib.sha256(f"{prefix}{row}".encode()).digest()))
    return order[:length]


def _parse_row(line: str, where: str, spec: JobSpec, classes: dict[str, int]) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error}.") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError(f"{where} must be a JSON object with a string under 'text'.")
    if spec.model.task != "sequence-classification":
        return Row(row["text"])
    label = row.get("label")
    if not isinstance(label, str) or label not in classes:
        raise DataError(
            f"{where} has the label {label!r}; the spec allows {', '.join(map(repr, spec.dataset.labels))}. "
            "Correct the row, or add the label to dataset.labels."
        )
    return Row(row["text"], classes[label])
