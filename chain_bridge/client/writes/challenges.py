"""Challenges of the results of a round."""
# ruff: noqa: A002

from atlas.ids import JobId
from chain_bridge.client.writes.base import OUTCOME, Writes, binary


class ChallengeWrites(Writes[OUTCOME]):
    """Messages on challenges; `index` is the leaf's place in the round's tree."""

    def challenge(
        self, job: JobId, round: int, index: int, leaf: bytes, proof: list[bytes], evidence: str, bond: int = 0
    ) -> OUTCOME:
        """Challenge one result of a submitted round: `proof` lists the sibling hashes of `leaf`, bottom-up."""
        message = {
            "job": job,
            "round": round,
            "index": index,
            "leaf": binary(leaf),
            "proof": [binary(sibling) for sibling in proof],
            "evidence": evidence,
        }
        return self._write("challenge", message, funds=bond)

    def resolve_challenge(self, job: JobId, round: int, index: int, upheld: bool) -> OUTCOME:
        """Decide a challenge, as the contract's owner."""
        return self._write("resolve_challenge", {"job": job, "round": round, "index": index, "upheld": upheld})

    def dismiss_challenge(self, job: JobId, round: int, index: int) -> OUTCOME:
        """End a challenge that nobody decided in time and return its bond."""
        return self._write("dismiss_challenge", {"job": job, "round": round, "index": index})
