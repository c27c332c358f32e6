"""What a label or a shard value is called: one rule for every kind of file."""

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

TRUTH = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
LARGEST_WHOLE = 2**53
"""From here on a float no longer holds every whole number."""


def nfc(text: str) -> str:
    """Unicode normal form C: equal for texts that look equal but were typed as other code points."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def name_of(value: object) -> str | None:
    """The name that a value gives to a class or a shard; None for null, an empty text, a fraction, and anything else.

    Truth values are `true` and `false`, whole numbers are digits, in whatever form a file holds them: `1`, `1.0` and
    `"1.0"` are all `1`, `True` is `true`. Texts are brought to normal form C.
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
    """How a label is spelled in the settings, by itself and by its name where no other label has that name."""
    names = [name_of(label) for label in labels]
    unique = {name: label for name, label in zip(names, labels, strict=True) if name and names.count(name) == 1}
    return {**unique, **{label: label for label in labels}}
