"""Results and rewards."""
# ruff: noqa: A002

from atlas.ids import Cid, JobId
from chain_bridge.client.messages import Share
from chain_bridge.client.writes.base import OUTCOME, Writes, binary, mappings


class RoundWrites(Writes[OUTCOME]):
    """Messages that submit a round's outcome and pay for it."""

    def submit_round(
        self,
        job: JobId,
        round: int,
        root: bytes,
        leaf_count: int,
        checkpoint: Cid,
        evidence: Cid,
        per_node: list[Share],
    ) -> OUTCOME:
        """Submit a round's outcome: exactly its completed tasks, and basis points that sum to 10,000."""
        message = {
            "job": job,
            "round": round,
            "root": binary(root),
            "leaf_count": leaf_count,
            "checkpoint": checkpoint,
            "evidence": evidence,
            "per_node": mappings(per_node),
        }
        return self._write("submit_round", message)

    def rollback_round(self, job: JobId, round: int) -> OUTCOME:
        """Take back the submission of a round that is not settled and not challenged."""
        return self._write("rollback_round", {"job": job, "round": round})

    def settle(self, job: JobId, round: int) -> OUTCOME:
        """Credit the nodes of a submitted round, after the challenge window."""
        return self._write("settle", {"job": job, "round": round})

    def claim_abandoned(self, job: JobId, round: int) -> OUTCOME:
        """Credit the key's node for its completed tasks of a round that its owner never submitted."""
        return self._write("claim_abandoned", {"job": job, "round": round})

    def withdraw(self) -> OUTCOME:
        """Withdraw the key's credit; the transaction's attribute `amount` holds the amount."""
        return self._write("withdraw", {})

    def withdraw_for(self, addresses: list[str]) -> OUTCOME:
        """Send each of these addresses its credit; the key pays the fee."""
        return self._write("withdraw_for", {"addresses": addresses})
