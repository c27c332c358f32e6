"""A round's submission and settlement, on chain and in the outbox, where they are recorded before they are sent.

A submission may be rolled back on chain and made again, so its key in the outbox has a number.
"""

from collections.abc import Callable
from itertools import count

from atlas.ids import Cid, JobId
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Later, Ledger
from chain_bridge.outbox.rows import OutboxEntry
from resources.errors import RoundOrderError
from resources.jobs.opened import OpenJob

Record = Callable[[Later], OutboxEntry]


def base_checkpoint(job: OpenJob, number: int, ledger: Ledger) -> Cid:
    """CID of the Checkpoint that a round starts from: that of round 0, or the previous round's on chain.

    While the submission of the previous round is pending, the outbox's record is used. Raises `RoundOrderError` when
    the previous round has not ended.
    """
    if number == 1:
        return job.untrained
    chain_answers = True
    try:
        previous = ledger.round(job.job_id, number - 1)
    except ChainUnreachable:
        previous, chain_answers = None, False
    if previous is not None:
        return previous.checkpoint
    recorded = _recorded_checkpoint(ledger, job.job_id, number - 1, chain_answers)
    if recorded is None:
        raise RoundOrderError(
            f"Round {number} of job {job.name!r} starts from round {number - 1}, which is not submitted on chain"
            + ("." if chain_answers else ", by the last known state; the chain does not answer now.")
            + f" Run round {number - 1} first."
        )
    return recorded


def newest_submission(ledger: Ledger, job: JobId, round_: int) -> OutboxEntry | None:
    """The newest submission of a round that this coordinator recorded; does not query the chain."""
    return _newest(ledger, f"submit-round:{job}:{round_}")[1]


def record_submission(ledger: Ledger, job: JobId, round_: int, record: Record) -> OutboxEntry:
    """Record a submission for the outbox to send, unless one is pending."""
    return _record(ledger, f"submit-round:{job}:{round_}", record)


def record_settle(ledger: Ledger, job: JobId, round_: int) -> OutboxEntry:
    """Record a round's settlement for the outbox to send, unless it is pending."""
    return _record(ledger, f"settle:{job}:{round_}", lambda later: later.settle(job, round_))


def _recorded_checkpoint(ledger: Ledger, job: JobId, round_: int, chain_answers: bool) -> Cid | None:
    """The checkpoint of a round whose submission is pending; None if there is none.

    A submission that has landed counts only while the chain does not answer: it may have been rolled back.
    """
    entry = newest_submission(ledger, job, round_)
    states = ("waiting", "signed") if chain_answers else ("waiting", "signed", "landed")
    return Cid(str(entry.body["checkpoint"])) if entry is not None and entry.state in states else None


def _record(ledger: Ledger, name: str, record: Record) -> OutboxEntry:
    number, newest = _newest(ledger, name)
    if newest is not None and not newest.decided:
        return newest
    return record(ledger.later(f"{name}:{number}"))


def _newest(ledger: Ledger, name: str) -> tuple[int, OutboxEntry | None]:
    """The first free number, and the entry before it."""
    newest = None
    for number in count(1):
        entry = ledger.recorded(f"{name}:{number}")
        if entry is None:
            return number, newest
        newest = entry
    raise AssertionError("unreachable")
