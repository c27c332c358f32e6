"""Jobs, and the leases of their rounds' slots."""
# ruff: noqa: A002

from atlas.ids import Cid, JobId
from chain_bridge.client.messages import Assignment, SlotAttempt
from chain_bridge.client.writes.base import OUTCOME, Writes, mappings


class ShardingWrites(Writes[OUTCOME]):
    """Messages on jobs and leases. `create_job` returns an id, so `Ledger` defines it."""

    def top_up(self, job: JobId, key: str, amount: int) -> OUTCOME:
        """Add to a job's escrow; a key that this address used before is refused."""
        return self._write("top_up", {"job": job, "key": key}, funds=amount)

    def cancel_job(self, job: JobId) -> OUTCOME:
        """End a job early: no new leases, and the free escrow is refunded. Active leases may still complete for pay."""
        return self._write("cancel_job", {"job": job})

    def close_job(self, job: JobId) -> OUTCOME:
        """End a job that has nothing reserved; its free escrow becomes the owner's credit."""
        return self._write("close_job", {"job": job})

    def assign_batch(self, job: JobId, round: int, plan: Cid, items: list[Assignment]) -> OUTCOME:
        """Lease slots of a round to nodes, all or none; `plan` is the CID of the list of tasks."""
        return self._write("assign_batch", {"job": job, "round": round, "plan": plan, "items": mappings(items)})

    def complete_batch(self, job: JobId, round: int, items: list[SlotAttempt]) -> OUTCOME:
        """Accept the results of leases."""
        return self._write("complete_batch", {"job": job, "round": round, "items": mappings(items)})

    def release_batch(self, job: JobId, round: int, items: list[SlotAttempt]) -> OUTCOME:
        """End leases without a result or a penalty, as the job's owner or the node that holds them."""
        return self._write("release_batch", {"job": job, "round": round, "items": mappings(items)})

    def expire_leases(self, job: JobId, round: int, limit: int, start_after_slot: int | None = None) -> OUTCOME:
        """End leases that are no longer live; the attribute `expired` counts them."""
        message = {"job": job, "round": round, "limit": limit, "start_after_slot": start_after_slot}
        return self._write("expire_leases", message)
