"""Ends leases whose nodes are gone, so that the rewards they reserve are free again."""

from atlas.ids import JobId
from chain_bridge.ledger import Ledger


def end_dead_leases(ledger: Ledger, job_id: JobId) -> int:
    """End the leases of a job that are no longer live, in all of its rounds; returns how many. Blocks.

    While the job runs, the next assignment of a slot ends such a lease. A job that has ended assigns nothing.
    """
    job = ledger.job(job_id)
    if not job.reserved:
        return 0
    most = ledger.config().max_batch
    return sum(_end_in_round(ledger, job_id, number, most) for number in range(1, job.rounds + 1))


def _end_in_round(ledger: Ledger, job_id: JobId, number: int, most: int) -> int:
    if not any(lease.state == "active" and not lease.live for lease in ledger.leases(job_id, number)):
        return 0
    ended, after = 0, None
    while True:
        done = ledger.expire_leases(job_id, number, most, after)
        ended += int(done.attribute("expired"))
        found = done.attributes[0].get("last_slot")
        if found is None:
            return ended
        after = int(found)
