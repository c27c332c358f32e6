"""The kinds of identifiers, so that a type checker refuses one in the place of another. All are plain values."""

from typing import NewType

Cid = NewType("Cid", str)
"""A content identifier: a CIDv1 in base32. `parse_cid` makes one of a text."""
