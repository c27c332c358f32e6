"""The end of a round: evidence, its Merkle root on chain, and the payout. Every step asks the chain first."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import stamina

from atlas.content.store import ContentStore, put_document
from atlas.manifests import RejectedUpdate, RoundEvidence, TaskRecord
from atlas.verification.evidence import evidence_root
from chain_bridge.errors import ChainUnreachable, ContractRefused
from chain_bridge.ledger import Ledger
from chain_bridge.messages import NodeCount, RegisteredModel
from resources.errors import SettlementError
from resources.jobs import Attempt, JobRegistry
from resources.opening import OpenJob

CHAIN_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Settlement:
    """How a round was paid. A transaction is None when an earlier run sent it, or when it is not due yet."""

    evidence: str
    """CID of the RoundEvidence."""
    root: str
    """The Merkle root over the evidence, in hex."""
    leaf_count: int
    per_node: list[NodeCount]
    payouts: dict[str, int]
    """Address -> micro-units credited, or to be credited after the challenge window."""
    submit_tx: str | None
    settle_tx: str | None
    settled: bool
    """False while the challenge window is open; call again after it."""


@stamina.retry(on=ChainUnreachable, attempts=None, timeout=CHAIN_PATIENCE_SECONDS, wait_initial=1.0, wait_max=30.0)
def settle_round(
    job: OpenJob, number: int, checkpoint: str, store: ContentStore, registry: JobRegistry, ledger: Ledger
) -> Settlement:
    """Submit a round's evidence and credit its nodes; what is done already is left as it is.

    A chain that does not answer is asked again for ten minutes. Raises `SettlementError` when the chain has other
    results of the round than this coordinator.
    """
    evidence = build_evidence(job, number, checkpoint, registry, ledger)
    root = evidence_root(evidence)
    cid = put_document(store, evidence)
    counts = Counter(record.node_id for record in evidence.records)
    per_node = [NodeCount(node, counts[node]) for node in sorted(counts)]
    submitted, submit_tx = ledger.round(job.job_id, number), None
    if submitted is None:
        leaves = len(evidence.records)
        submit_tx = ledger.submit_round(job.job_id, number, root, leaves, checkpoint, cid, per_node).hash
        submitted = ledger.round(job.job_id, number)
    if submitted is None or (submitted.root, submitted.checkpoint) != (root, checkpoint):
        raise SettlementError(
            f"Round {number} of job {job.name!r} is on chain as {submitted}, but this coordinator has root "
            f"{root.hex()} and checkpoint {checkpoint}. What is on chain stays; find out which run submitted it."
        )
    settle_tx = None if submitted.settled_at is not None else _settle(job, number, ledger)
    return Settlement(
        evidence=cid,
        root=root.hex(),
        leaf_count=len(evidence.records),
        per_node=per_node,
        payouts=_payouts(per_node, job.spec.payment.reward_per_task, ledger),
        submit_tx=submit_tx,
        settle_tx=settle_tx,
        settled=settle_tx is not None or submitted.settled_at is not None,
    )


def build_evidence(job: OpenJob, number: int, checkpoint: str, registry: JobRegistry, ledger: Ledger) -> RoundEvidence:
    """The tasks of a round as they ended; raises `SettlementError` unless the chain completed exactly these."""
    attempts = registry.attempts(job.round(number))
    completed = [attempt for attempt in attempts if attempt.state == "completed"]
    on_chain = {
        (lease.slot, lease.attempt, lease.node, lease.task)
        for lease in ledger.leases(job.job_id, number)
        if lease.state == "completed"
    }
    known = {(one.slot, one.attempt, one.node_id, one.task_cid) for one in completed}
    if known != on_chain or not known:
        raise SettlementError(
            f"Round {number} of job {job.name!r}: the chain has completed {_slots(on_chain)}, this coordinator has "
            f"the results of {_slots(known)}. Run the round again; it takes over what is missing."
        )
    return RoundEvidence(
        contract=job.contract,
        job_id=job.job_id,
        round=number,
        checkpoint=checkpoint,
        records=[_record(job, one) for one in completed],
        rejected=[_rejected(job, one) for one in attempts if one.gate],
    )


def publish_model(job: OpenJob, number: int, checkpoint: str, ledger: Ledger) -> None:
    """Register a round's checkpoint under the job's name, with the round as its version; once.

    Raises `SettlementError` when the name and version stand for something else.
    """
    known = _model(job.name, number, ledger)
    if known is None:
        ledger.register_model(job.name, number, checkpoint, job.job_id, parent=job.model_cid)
    elif known.cid != checkpoint:
        raise SettlementError(
            f"Model {job.name} {number} is registered as {known.cid} by job {known.job}, so {checkpoint} cannot bear "
            "that name. Choose another name for the job."
        )


def _model(name: str, version: int, ledger: Ledger) -> RegisteredModel | None:
    found = ledger.models(name, start_after=(name, version - 1), limit=1)
    return found[0] if found and found[0].version == version else None


def _settle(job: OpenJob, number: int, ledger: Ledger) -> str | None:
    """The transaction that credits the nodes; None when it is not due yet, or somebody else has sent it."""
    try:
        return ledger.settle(job.job_id, number).hash
    except ContractRefused:
        outcome = ledger.round(job.job_id, number)
        if (outcome is not None and outcome.settled_at is not None) or ledger.config().challenge_seconds:
            return None
        raise


def _payouts(per_node: list[NodeCount], reward: int, ledger: Ledger) -> dict[str, int]:
    return {ledger.node(share.node).owner: share.count * reward for share in per_node}


def _record(job: OpenJob, attempt: Attempt) -> TaskRecord:
    return TaskRecord(
        slot=attempt.slot,
        shard=_shard(job, attempt.slot),
        node_id=attempt.node_id,
        attempt=attempt.attempt,
        receipt=attempt.receipt_cid or "",
        result=attempt.result_cid or "",
    )


def _rejected(job: OpenJob, attempt: Attempt) -> RejectedUpdate:
    return RejectedUpdate(
        shard=_shard(job, attempt.slot) or "evaluation",
        node_id=attempt.node_id,
        attempt=attempt.attempt,
        gate=attempt.gate or "",
        reason=attempt.reason or "",
    )


def _shard(job: OpenJob, slot: int) -> str | None:
    return None if slot == job.evaluation_slot else job.dataset.shards[slot].key


def _slots(items: Collection[tuple[int, int, int, str]]) -> str:
    return ", ".join(f"slot {slot} attempt {attempt}" for slot, attempt, _, _ in sorted(items)) or "nothing"
