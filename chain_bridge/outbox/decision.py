"""Decide the next step for a signed transaction that may have been broadcast: a pure function."""

from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """The next step for a signed transaction."""

    ADOPT = "it is in a block: take over its outcome"
    ORPHAN = "it was signed for a chain that no longer exists: set it aside"
    REBROADCAST = "it can still be included: send the same bytes again"
    SCAN = "it can no longer be included: find out whether it was"
    WAIT = "it is in a block but not in the index yet: query again"
    SIGN_ANEW = "it was not included and never will be: its messages wait again"


@dataclass(frozen=True)
class Flight:
    """The fields of a signed transaction that the decision needs."""

    sequence: int
    timeout_height: int


@dataclass(frozen=True)
class ChainView:
    """The chain's answers, queried in this order: the hash, the account's sequence, the height.

    `in_blocks`: whether the hash is in a block between the one at signing and min(height, timeout height); None
    before the blocks were scanned.
    """

    found: bool
    sequence: int
    height: int
    same_chain: bool = True
    in_blocks: bool | None = None


def decide(flight: Flight, view: ChainView) -> Action:
    """The next step for a signed transaction.

    It can enter blocks up to its timeout height, and only while the account's sequence equals its own. So it cannot
    enter a block once the chain has reached that height or the sequence has passed. If it is then in none of the
    possible blocks, it never happened. Lookup by hash alone proves nothing, because the transaction index lags behind
    the blocks.
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
