"""The node's leases: which are still held, which were never announced, and how to release them."""

import logging
from collections.abc import Iterable
from itertools import groupby

from atlas.ids import Cid, JobId, NodeId
from chain_bridge.client.messages import Lease, SlotAttempt
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from node_agent.home.journal import JournalEntry
from node_agent.tasks.decision import in_time, still_held
from node_agent.wire.messages import LeaseRef

log = logging.getLogger(__name__)


def place_of(lease: Lease) -> LeaseRef:
    """The attempt of a lease."""
    return LeaseRef(lease.job, lease.round, lease.slot, lease.attempt)


def held(entries: Iterable[JournalEntry], leases: Iterable[Lease], node_id: NodeId, now: float) -> dict[Cid, bool]:
    """For each task, whether this node still holds its lease; `leases` are the node's active leases."""
    by_place = {place_of(lease): lease for lease in leases}
    return {
        entry.task: still_held(by_place.get(entry.hint.place), node_id, entry.hint.attempt, entry.plan, now)
        for entry in entries
    }


class UnannouncedLeases:
    """Finds leases whose hints never came: a hint may still be under way at the first poll, but not at the second."""

    def __init__(self) -> None:
        self._before: set[LeaseRef] = set()

    def look(self, entries: Iterable[JournalEntry], leases: Iterable[Lease], now: float) -> list[Lease]:
        """This node's active leases that have no entry, neither now nor at the previous poll."""
        known = {entry.hint.place for entry in entries}
        unannounced = {
            place_of(lease): lease for lease in leases if in_time(lease, now) and place_of(lease) not in known
        }
        overdue = [lease for place, lease in unannounced.items() if place in self._before]
        self._before = set(unannounced)
        return overdue


def release(ledger: Ledger, places: Iterable[LeaseRef]) -> None:
    """Release leases, so that their slots can be assigned again at once.

    A lease that has ended meanwhile is skipped. Raises `ChainError` when the chain cannot be queried. Blocks.
    """

    def job_and_round(place: LeaseRef) -> tuple[JobId, int]:
        return place.job, place.round

    for (job, round_), group in groupby(sorted(places), key=job_and_round):
        items = [SlotAttempt(place.slot, place.attempt) for place in group]
        try:
            ledger.release_batch(job, round_, items)
        except ContractRefused:
            # All or none: one lease that is gone must not block the others.
            for item in items:
                _release_one(ledger, job, round_, item)


def _release_one(ledger: Ledger, job: JobId, round_: int, item: SlotAttempt) -> None:
    try:
        ledger.release_batch(job, round_, [item])
    except ContractRefused as error:
        log.info(
            "the lease of slot %d in round %d of job %d cannot be released by this node: %s",
            item.slot,
            round_,
            job,
            error,
        )
