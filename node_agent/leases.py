"""What the chain says of the tasks in hand, and how they are given back."""

import logging
from collections.abc import Iterable
from itertools import groupby

from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from chain_bridge.messages import SlotAttempt
from node_agent.journal import Entry
from node_agent.plan import still_held

log = logging.getLogger(__name__)


def look_up(ledger: Ledger, node_id: int, entries: Iterable[Entry], now: float) -> dict[str, bool]:
    """Of each task, whether the chain still has this node for it. Raises `ChainError`. Blocks."""
    held = {}
    for entry in entries:
        hint = entry.hint
        lease = ledger.lease(hint.job_id, hint.round, hint.slot)
        held[entry.task] = still_held(lease, node_id, hint.attempt, hint.task, now)
    return held


def release(ledger: Ledger, entries: Iterable[Entry]) -> None:
    """Give leases back, so that their slots can be assigned again at once.

    A lease that ended otherwise meanwhile is passed over. Raises `ChainError` when the chain cannot be asked. Blocks.
    """

    def job_and_round(entry: Entry) -> tuple[int, int]:
        return entry.hint.job_id, entry.hint.round

    for (job, round_), group in groupby(sorted(entries, key=job_and_round), key=job_and_round):
        items = [SlotAttempt(entry.hint.slot, entry.hint.attempt) for entry in group]
        try:
            ledger.release_batch(job, round_, items)
        except ContractRefused:
            # All or none: one lease that is gone must not keep the others.
            for item in items:
                _release_one(ledger, job, round_, item)


def _release_one(ledger: Ledger, job: int, round_: int, item: SlotAttempt) -> None:
    try:
        ledger.release_batch(job, round_, [item])
    except ContractRefused as error:
        log.info("the lease of slot %d in round %d of job %d is not ours to release: %s", item.slot, round_, job, error)
