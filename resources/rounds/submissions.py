"""What the outbox holds of a round's end: its submission, recorded before it is sent, and its settlement.

A submission may be rolled back on chain and made again, so each has a number of its own in the outbox's key.
"""

from collections.abc import Callable
from itertools import count

from chain_bridge.ledger import Later, Ledger
from chain_bridge.outbox.rows import Entry

Record = Callable[[Later], Entry]


def newest_submission(ledger: Ledger, job: int, round_: int) -> Entry | None:
    """The newest submission of a round that this coordinator recorded; asks no chain."""
    return _newest(ledger, f"submit-round:{job}:{round_}")[1]


def record_submission(ledger: Ledger, job: int, round_: int, record: Record) -> Entry:
    """Record a submission for the outbox to send, unless one is on its way."""
    return _record(ledger, f"submit-round:{job}:{round_}", record)


def record_settle(ledger: Ledger, job: int, round_: int) -> Entry:
    """Record a round's settlement for the outbox to send, unless it is on its way."""
    return _record(ledger, f"settle:{job}:{round_}", lambda later: later.settle(job, round_))


def recorded_checkpoint(ledger: Ledger, job: int, round_: int, chain_answers: bool) -> str | None:
    """The checkpoint of a round whose submission is on its way; None when none is.

    One that has landed counts only while the chain cannot be asked: it may have been rolled back since.
    """
    entry = newest_submission(ledger, job, round_)
    states = ("waiting", "signed") if chain_answers else ("waiting", "signed", "landed")
    return str(entry.body["checkpoint"]) if entry is not None and entry.state in states else None


def _record(ledger: Ledger, name: str, record: Record) -> Entry:
    number, newest = _newest(ledger, name)
    if newest is not None and not newest.decided:
        return newest
    return record(ledger.later(f"{name}:{number}"))


def _newest(ledger: Ledger, name: str) -> tuple[int, Entry | None]:
    """The first number that is free, and the entry before it."""
    newest = None
    for number in count(1):
        entry = ledger.recorded(f"{name}:{number}")
        if entry is None:
            return number, newest
        newest = entry
    raise AssertionError("unreachable")
