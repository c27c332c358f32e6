"""A round's evidence as Merkle leaves: each bound to its contract, job, round, place and number of leaves."""

import rfc8785

from atlas.data.merkle import merkle_root
from atlas.documents.manifests import RoundEvidence

LEAF_FIELDS = {"slot", "shard", "node_id", "attempt", "receipt", "result"}


def evidence_leaves(evidence: RoundEvidence) -> list[bytes]:
    """Canonical JSON per record, in slot order; a proof for one leaf cannot be replayed for any other.

    A leaf records the task and its result: the contract reads it when the result is challenged. The score is only in
    the evidence document, whose CID is on chain beside the root.
    """
    records = sorted(evidence.records, key=lambda record: record.slot)
    return [
        rfc8785.dumps(
            {
                "contract": evidence.contract,
                "job_id": evidence.job_id,
                "round": evidence.round,
                "checkpoint": evidence.checkpoint,
                "index": index,
                "leaf_count": len(records),
                "record": record.model_dump(mode="json", include=LEAF_FIELDS),
            }
        )
        for index, record in enumerate(records)
    ]


def evidence_root(evidence: RoundEvidence) -> bytes:
    """The 32-byte root that goes on chain."""
    return merkle_root(evidence_leaves(evidence))
