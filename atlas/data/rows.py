"""Check a row against the dataset's settings, and encode it as the line of a shard."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from atlas.data.bad_rows import BadRow
from atlas.spec.partition_names import name_of, nfc, spellings

LONGEST_SHOWN = 80
_quoted = json.JSONEncoder(ensure_ascii=False).encode
"""Encode a text as JSON; for texts this equals RFC 8785."""


class EncodedRow(NamedTuple):
    """A line of a shard, with the values that the split and the manifest need."""

    line: bytes
    label: str | None
    value: str | None
    """The value that decides the shard, when rows are sharded by a column."""
    tokens: int
    """Words of the text, see `count_tokens`."""
    text_key: int
    """64 bits that are equal for equal texts, see `text_key`."""


class RowEncoder:
    """Checks rows and encodes them as lines of canonical JSON (RFC 8785): `{"label":"…","text":"…"}`."""

    def __init__(
        self, text_column: str, label_column: str | None, labels: Sequence[str] = (), shard_column: str | None = None
    ) -> None:
        self._text_column, self._label_column, self._shard_column = text_column, label_column, shard_column
        self._labels = list(labels)
        self._spelled = spellings(labels)

    def encode(self, row: Mapping[str, object]) -> EncodedRow:
        """Encode one row; its label gets the spelling of the settings. Raises `BadRow` with the problem."""
        text = self._text(row[self._text_column])
        label = value = None
        line = '{"text":'
        if self._label_column is not None:
            label = self._label(row[self._label_column])
            line = f'{{"label":{_quoted(label)},"text":'
        if self._shard_column is not None:
            value = _name(row[self._shard_column], self._shard_column, "shard_by.column")
            _encodable(value, self._shard_column)
        try:
            encoded = f"{line}{_quoted(text)}}}\n".encode()
        except UnicodeEncodeError:
            _encodable(text, self._text_column)
            _encodable(label or "", self._label_column or "")
            raise
        return EncodedRow(encoded, label, value, count_tokens(text), text_key(text))

    def _text(self, text: object) -> str:
        if not isinstance(text, str):
            raise BadRow(
                f"the text column {self._text_column!r} must hold text, found {_shown(text)}",
                "text_column",
            )
        if not text.strip():
            raise BadRow(f"the text column {self._text_column!r} is empty", "text_column")
        return text

    def _label(self, value: object) -> str:
        if isinstance(value, str) and value in self._spelled:
            return self._spelled[value]
        name = _name(value, self._label_column or "", "label_column")
        if not self._labels:
            return name
        if name not in self._spelled:
            allowed = ", ".join(map(repr, self._labels))
            raise BadRow(f"has the label {_shown(value, name)}; allowed are {allowed}", "labels")
        return self._spelled[name]


def count_tokens(text: str) -> int:
    """The number of whitespace-separated words, as in `str.split`; pay for training counts these as tokens.

    A model's own tokens would tie the pay to its tokenizer, while anyone can count words from the shard.
    """
    return len(text.split())


def text_key(text: str) -> int:
    """64 bits of a BLAKE2b hash of a text in normal form C.

    Equal texts have equal keys. Among 50 million different texts, the chance of a collision is 1 in 15,000. Colliding
    texts would only end up on the same side of a split.
    """
    return int.from_bytes(hashlib.blake2b(nfc(text).encode(), digest_size=8).digest(), "little")


def _name(value: object, column: str, setting: str) -> str:
    name = name_of(value)
    if name is None:
        raise BadRow(
            f"the column {column!r} must hold text, a whole number or true/false, found {_shown(value)}", setting
        )
    return name


def _shown(value: object, name: str | None = None) -> str:
    if value is None or value == "":
        return "nothing"
    if name is not None:
        return repr(name)[:LONGEST_SHOWN]
    try:
        return f"{type(value).__name__} {value!r:.{LONGEST_SHOWN}}"
    except ValueError:  # Python refuses to print an integer with thousands of digits
        return f"a huge {type(value).__name__}"


def _encodable(text: str, column: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        if 0xDC80 <= code <= 0xDCFF:
            raise BadRow(
                f"the column {column!r} holds the byte 0x{code - 0xDC00:02X}, not UTF-8", "encoding"
            ) from error
        raise BadRow(f"the column {column!r} holds half a surrogate pair, U+{code:04X}, not Unicode text") from error
