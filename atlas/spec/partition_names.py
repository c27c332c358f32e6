"""Canonical names of labels and shard values, the same for every file format."""

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

TRUTH = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
LARGEST_WHOLE = 2**53
"""From this value on, a float cannot represent every integer."""


def nfc(text: str) -> str:
    """Unicode normal form C, which is equal for texts that look equal but have different code points."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def name_of(value: object) -> str | None:
    """The class or shard name of a value; None for null, an empty text, a fraction, and any other value.

    Booleans become `true` and `false`, and integers become digits, regardless of their form in the file: `1`, `1.0` and
    `"1.0"` are all `1`, and `True` is `true`. Texts are converted to normal form C.
    """
    if isinstance(value, str):
        text = nfc(value)
        whole = WHOLE.fullmatch(text)
        return (whole[1] if whole else TRUTH.get(text, text)) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 1024 else None
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value)) if abs(int(value)) < LARGEST_WHOLE else None
    return None


def spellings(labels: Sequence[str]) -> dict[str, str]:
    """Map each label, and its name if no other label has that name, to the label as spelled in the settings."""
    names = [name_of(label) for label in labels]
    unique = {name: label for name, label in zip(names, labels, strict=True) if name and names.count(name) == 1}
    return {**unique, **{label: label for label in labels}}
