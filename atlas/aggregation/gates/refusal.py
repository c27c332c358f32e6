"""A verdict against an update."""

from dataclasses import dataclass

from atlas.documents.manifests import Gate

LONGEST_REASON = 500
"""Characters."""


@dataclass(frozen=True)
class Refusal:
    """The gate that refused an update, and why, in words that the node's owner can act on.

    Reasons quote what strangers wrote, and end up in manifests, tables and terminals: only printable characters are
    kept, and not too many.
    """

    gate: Gate
    reason: str

    def __post_init__(self) -> None:
        line = " ".join(self.reason.split())
        plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
        shown = plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"
        object.__setattr__(self, "reason", shown)
