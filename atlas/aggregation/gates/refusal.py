"""The refusal of an update."""

from dataclasses import dataclass

from atlas.documents.manifests import Gate

LONGEST_REASON = 500
"""In characters."""


@dataclass(frozen=True)
class Refusal:
    """The gate that refused an update, and a reason that the node's owner can act on.

    Reasons may quote untrusted input and appear in manifests, tables and terminals. So non-printable characters are
    replaced and the text is truncated.
    """

    gate: Gate
    reason: str

    def __post_init__(self) -> None:
        line = " ".join(self.reason.split())
        plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
        shown = plain if len(plain) <= LONGEST_REASON else plain[: LONGEST_REASON - 1] + "…"
        object.__setattr__(self, "reason", shown)
