"""One row: checked against the dataset's spec and brought into the form that a shard holds."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from atlas.dataset_spec import DatasetSpec
from atlas.errors import DataError


class EncodedRow(NamedTuple):
    """A line of a shard, and what it counts as."""

    line: bytes
    label: str | None
    value: str | None
    """The value that decides the shard, when rows are sharded by a column."""
    tokens: int
    """Words of the text, see `count_tokens`."""


def encode_row(row: Mapping[str, object], number: int, spec: DatasetSpec) -> EncodedRow:
    """Check a row and encode it as a line of canonical JSON (RFC 8785): `{"label":"…","text":"…"}`.

    `number` counts from 1. Raises `DataError` that names the row, what was expected and what was found.
    """
    fields = {"text": _text(row, number, spec.text_column)}
    label = value = None
    if spec.label_column is not None:
        label = fields["label"] = _label(row, number, spec.label_column, spec.labels)
    if spec.shard_by.column is not None:
        value = _name(row, number, spec.shard_by.column, "dataset.shard_by.column")
    try:
        # Equal to RFC 8785 for objects of strings under ASCII keys.
        line = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise DataError(f"Row {number} is not valid Unicode: {error}. Correct or remove the row.") from error
    return EncodedRow(line, label, value, count_tokens(fields["text"]))


def count_tokens(text: str) -> int:
    """Whitespace-separated words, as `str.split` finds them: what a row counts for when its training is paid.

    A model's own tokens would tie the pay to its tokenizer; this number anyone can count again from the shard.
    """
    return len(text.split())


def _text(row: Mapping[str, object], number: int, column: str) -> str:
    text = _column(row, number, column, "dataset.text_column")
    if not isinstance(text, str):
        raise DataError(
            f"Row {number}: the text column {column!r} must hold text, found {type(text).__name__} {text!r:.80}. "
            "Correct or remove the row, or set dataset.text_column."
        )
    if not text.strip():
        raise DataError(f"Row {number}: the text column {column!r} is empty. Fill it in or remove the row.")
    return text


def _label(row: Mapping[str, object], number: int, column: str, allowed: list[str]) -> str:
    label = _name(row, number, column, "dataset.label_column")
    if allowed and label not in allowed:
        raise DataError(
            f"Row {number} has the label {label!r}; allowed are {', '.join(map(repr, allowed))}. "
            "Correct the row, or add the label to dataset.labels."
        )
    return label


def _name(row: Mapping[str, object], number: int, column: str, setting: str) -> str:
    """A value that names a class or a shard: text, or a whole number as text."""
    value = _column(row, number, column, setting)
    if not isinstance(value, str | int) or value == "":
        raise DataError(
            f"Row {number}: the column {column!r} must hold text or a whole number, found {value!r:.80}. "
            f"Correct or remove the row, or set {setting} to another column."
        )
    return str(value)


def _column(row: Mapping[str, object], number: int, column: str, setting: str) -> object:
    if column not in row:
        found = ", ".join(map(repr, row)) or "none"
        raise DataError(
            f"Row {number} has no column {column!r}; found the columns {found}. Set {setting} to one of them."
        )
    return row[column]
