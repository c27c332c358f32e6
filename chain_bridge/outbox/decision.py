"""What to do about a transaction that was signed and may have been handed over: a pure function."""

from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What comes next."""

    ADOPT = "it is in a block: take over its outcome"
    ORPHAN = "it was signed for a chain that is gone: set it aside"
    REBROADCAST = "it can still land: hand over the very same bytes"
    SCAN = "it can not land any more: see whether it did"
    WAIT = "it is in a block but not in the index yet: look again"
    SIGN_ANEW = "it provably did not land and will not: its messages wait again"


@dataclass(frozen=True)
class Flight:
    """What counts about a signed transaction."""

    sequence: int
    timeout_height: int


@dataclass(frozen=True)
class ChainView:
    """What the chain tells, asked in this order: by hash, the account's sequence, the height.

    `in_blocks`: whether the hash is in a block between the one at signing and min(height, timeout height); None
    before that was looked at.
    """

    found: bool
    sequence: int
    height: int
    same_chain: bool = True
    in_blocks: bool | None = None


def decide(flight: Flight, view: ChainView) -> Action:
    """The next step for a signed transaction.

    It can land in blocks up to its timeout height, and only while the account's sequence is its own. So it can not
    land any more once the chain is as long as that or the sequence has passed; and if it is then in none of the
    blocks in which it could have landed, it never did. Lookup by hash alone proves nothing, since the index of
    transactions lags behind the blocks.
    """
    if view.found:
        return Action.ADOPT
    if not view.same_chain:
        return Action.ORPHAN
    if view.height < flight.timeout_height and view.sequence <= flight.sequence:
        return Action.REBROADCAST
    if view.in_blocks is None:
        return Action.SCAN
    return Action.WAIT if view.in_blocks else Action.SIGN_ANEW
