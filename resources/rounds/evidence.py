"""The evidence of a round: its completed tasks, their contributions, and each node's share of the pool."""

from collections.abc import Collection, Mapping

from atlas.content.store import ContentStore
from atlas.documents.manifests import (
    NodeShare,
    Receipt,
    RefusalRecord,
    RoundEvidence,
    RoundManifest,
    ScoringMethod,
    ShardManifest,
    SignedReceipt,
    TaskRecord,
)
from atlas.documents.stored import get_document
from atlas.ids import Cid
from atlas.spec.job import TrainingSpec
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from chain_bridge.settlement import PaidTask, divide_round
from resources.dispatch.leased_tasks import leased_tasks
from resources.errors import SettlementError
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt


def build_evidence(
    job: OpenJob,
    number: int,
    checkpoint: Cid,
    manifest: RoundManifest,
    attempts: Collection[Attempt],
    scoring: ScoringMethod,
    scores: Mapping[str, int],
) -> RoundEvidence:
    """The evidence of a round that ended with `checkpoint`: its manifest, attempts, and scores by shard."""
    aggregated = {update.shard: update.adapter for update in manifest.updates}
    records = [_record(job, one, aggregated, scores) for one in completed(attempts)]
    parts = divide_round(PaidTask(record.node_id, record.contribution) for record in records)
    return RoundEvidence(
        contract=job.contract,
        job_id=job.job_id,
        round=number,
        checkpoint=checkpoint,
        scoring=scoring,
        records=records,
        per_node=[NodeShare(node_id=part.node, count=part.count, bps=part.bps) for part in parts],
        rejected=[_refusal_record(job, one) for one in attempts if one.gate],
    )


def completed(attempts: Collection[Attempt]) -> list[Attempt]:
    """The attempts with a verified result."""
    return [attempt for attempt in attempts if attempt.state == "completed"]


def receipt_of(cid: Cid, store: ContentStore) -> Receipt:
    """The receipt of a result that was verified on arrival."""
    return get_document(store, cid, SignedReceipt).receipt


def trained_tokens(training: TrainingSpec, shard: ShardManifest) -> int:
    """The tokens of one task: the rows that the spec trains on, times the shard's mean row length, rounded down.

    They follow from spec and manifest, not from the node's report.
    """
    rows = training.steps * training.batch_size * training.gradient_accumulation
    return rows * shard.size // shard.rows


def check_completed(
    job: OpenJob, number: int, attempts: Collection[Attempt], store: ContentStore, ledger: Ledger
) -> None:
    """Raise `SettlementError` unless the chain completed exactly the tasks of which there are results here.

    If the chain does not answer, this check is left to the contract, which checks the numbers when the round is
    submitted; without any result, `ChainUnreachable` is raised.
    """
    done = completed(attempts)
    try:
        _compare_completed(job, number, done, store, ledger)
    except ChainUnreachable:
        if not done:
            raise


def _compare_completed(
    job: OpenJob, number: int, done: Collection[Attempt], store: ContentStore, ledger: Ledger
) -> None:
    leases = [lease for lease in ledger.leases(job.job_id, number) if lease.state == "completed"]
    tasks = leased_tasks(job.round(number), leases, store)
    on_chain = {(lease.slot, lease.attempt, lease.node, tasks[lease.slot] or "unreadable") for lease in leases}
    known = {(one.slot, one.attempt, one.node_id, one.task_cid) for one in done}
    if known != on_chain or not known:
        raise SettlementError(
            f"Round {number} of job {job.name!r}: the chain has completed {_slots(on_chain)}, this coordinator has "
            f"the results of {_slots(known)}. Run the round again; it takes over what is missing."
        )


def _record(job: OpenJob, one: Attempt, aggregated: Mapping[str, Cid], scores: Mapping[str, int]) -> TaskRecord:
    """An update that was left out of the aggregation has no validated tokens, and so no contribution."""
    tokens = score = None
    shard = None if one.slot == job.evaluation_slot else job.dataset.shards[one.slot]
    if shard is not None:
        counts = aggregated.get(shard.key) == one.result_cid
        tokens, score = (trained_tokens(job.spec.training, shard), scores[shard.key]) if counts else (0, 0)
    return TaskRecord(
        slot=one.slot,
        shard=shard.key if shard else None,
        node_id=one.node_id,
        attempt=one.attempt,
        receipt=one.receipt_cid or "",
        result=one.result_cid or "",
        tokens=tokens,
        score=score,
    )


def _refusal_record(job: OpenJob, attempt: Attempt) -> RefusalRecord:
    trained = attempt.slot != job.evaluation_slot
    return RefusalRecord(
        shard=job.dataset.shards[attempt.slot].key if trained else "evaluation",
        node_id=attempt.node_id,
        attempt=attempt.attempt,
        gate=attempt.gate or "",
        reason=attempt.reason or "",
    )


def _slots(items: Collection[tuple[int, int, int, str]]) -> str:
    return ", ".join(f"slot {slot} attempt {attempt}" for slot, attempt, _, _ in sorted(items)) or "nothing"
