"""The coordinator's steps of a round: each is one function, which an asset calls."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.documents.manifests import AcceptedUpdate, RefusedUpdate, RoundManifest, ShardManifest
from atlas.documents.stored import put_document
from atlas.spec.job import TaskSpec
from atlas.verification.contribution import FEWEST_ROWS, rows_to_sample
from atlas.verification.job_data import reaches_quorum
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from resources.dispatch.outcomes import CompletedTask, TaskOutcome
from resources.errors import QuorumError, RoundOrderError
from resources.jobs.open_job import OpenJob
from resources.jobs.registry import JobRegistry
from resources.rounds.causes import Cause, advice, causes_of, describe_causes, is_stuck
from resources.rounds.submissions import recorded_checkpoint
from resources.rounds.verdict import Verdict, compare


def base_checkpoint(job: OpenJob, number: int, ledger: Ledger) -> str:
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
    recorded = recorded_checkpoint(ledger, job.job_id, number - 1, chain_answers)
    if recorded is None:
        raise RoundOrderError(
            f"Round {number} of job {job.name!r} starts from round {number - 1}, which is not submitted on chain"
            + ("." if chain_answers else ", by the last known state; the chain does not answer now.")
            + f" Run round {number - 1} first."
        )
    return recorded


def training_tasks(job: OpenJob, number: int, base: str, shards: Collection[str] | None = None) -> list[TaskSpec]:
    """First attempts at training a round's shards, all or those with these keys, in shard order."""
    return [
        _task(job, number, base, "train", slot, shard)
        for slot, shard in enumerate(job.dataset.shards)
        if shards is None or shard.key in shards
    ]


def reference_task(job: OpenJob, number: int, base: str, rows: ShardManifest) -> TaskSpec:
    """The task on the reference rows, which no node gets: the coordinator trains it itself."""
    return _task(job, number, base, "train", job.evaluation_slot + 1, rows)


def evaluation_task(
    job: OpenJob,
    number: int,
    base: str,
    checkpoint: str,
    without: Mapping[str, str] | None = None,
    mean: str | None = None,
) -> TaskSpec:
    """The first attempt at evaluating a round's checkpoint and its base on the held-out rows.

    `without` adds, by shard, the checkpoints that leave out one update each (`scoring.checkpoints_without`), `mean` the
    result of plain averaging; these are evaluated on a sample of the rows.
    """
    task = _task(job, number, base, "evaluate", job.evaluation_slot, job.dataset.holdout)
    changes: dict[str, Any] = {"shard": None, "checkpoints": [base, checkpoint]}
    rivals = [*(without or {}).values(), *([mean] if mean else [])]
    if rivals:
        rows = rows_to_sample(len(without)) if without else FEWEST_ROWS
        changes |= {"checkpoints": [base, checkpoint, *rivals], "sample_rows": rows}
    return task.model_copy(update=changes)


def _task(job: OpenJob, number: int, base: str, kind: str, slot: int, data: ShardManifest) -> TaskSpec:
    lora = job.spec.lora
    rank = lora.rank_of(data.key) if kind == "train" else lora.rank
    return TaskSpec(
        kind=kind,
        contract=job.contract,
        job_id=job.job_id,
        job=job.spec_cid,
        model=job.model_cid,
        round=number,
        slot=slot,
        shard=data.key,
        rank=None if rank == lora.rank else rank,
        data=data.cid,
        form=data.form,
        rows=data.rows,
        base=base,
        attempt=1,
    )


def build_round_manifest(
    job: OpenJob,
    number: int,
    base: str,
    outcomes: Iterable[TaskOutcome],
    store: ContentStore,
    registry: JobRegistry,
    reference: str | None = None,
    nodes: Path | None = None,
) -> RoundManifest:
    """List a round's updates, accepted and refused, by shard, and put the manifest into the store.

    The gates check the whole round once more; updates refused now are left out, and recorded in the registry.
    `reference` is the update of the reference rows, `nodes` the folder of the local nodes. Raises `QuorumError`, with
    the causes, when no update is left.
    """
    outcomes = list(outcomes)
    completed = [one for one in outcomes if isinstance(one, CompletedTask)]
    if not completed:
        raise quorum_error(job, number, 0, causes_of(job, number, outcomes, registry, nodes))
    from resources.rounds.round_gate import RoundGate  # numpy, which most importers of this module do not need

    refused = RoundGate(job, number, base, store, registry).check_all(completed)
    for one in completed:
        place = (job.round(number), one.task.slot, one.task.attempt)
        if verdict := refused.get(one.task.slot):
            registry.record_excluded(*place, verdict.gate, verdict.reason)
        else:
            registry.record_included(*place)
    accepted = [_accepted(job, one) for one in completed if one.task.slot not in refused]
    if not accepted:
        raise quorum_error(job, number, 0, causes_of(job, number, outcomes, registry, nodes))
    manifest = RoundManifest(
        job=job.spec_cid,
        round=number,
        base=base,
        strategy=job.spec.aggregation.strategy,
        updates=sorted(accepted, key=lambda update: update.shard),
        reference=reference,
        refused=refused_updates(job, number, registry),
    )
    put_document(store, manifest)
    return manifest


def refused_updates(job: OpenJob, number: int, registry: JobRegistry) -> list[RefusedUpdate]:
    """The updates that the gates have refused in a round so far, by shard and attempt."""
    found = [
        RefusedUpdate(
            shard=job.dataset.shards[one.slot].key,
            attempt=one.attempt,
            adapter=one.result_cid,
            gate=one.gate,
            reason=one.reason or "",
        )
        for one in registry.attempts(job.round(number))
        if one.gate is not None and one.slot < job.evaluation_slot
    ]
    return sorted(found, key=lambda one: (one.shard, one.attempt))


def _accepted(job: OpenJob, outcome: CompletedTask) -> AcceptedUpdate:
    shard = job.dataset.shards[outcome.task.slot]
    return AcceptedUpdate(shard=shard.key, data=shard.cid, adapter=outcome.result, weight=shard.weight)


def quorum_reached(job: OpenJob, manifest: RoundManifest) -> bool:
    """Whether enough shards have an accepted update."""
    return reaches_quorum(job.spec, len(manifest.updates), len(job.dataset.shards))


def quorum_error(job: OpenJob, number: int, updates: int, causes: Sequence[Cause]) -> QuorumError:
    """The error of a round with too few accepted updates, with causes and remedy."""
    shards = len(job.dataset.shards)
    needed = max(1, math.ceil(job.spec.aggregation.quorum * shards))
    return QuorumError(
        f"Round {number} of job {job.name!r} has {updates} of the {counted(needed, 'update')} that its quorum "
        f"requires. {describe_causes(causes, shards)} "
        f"{advice(job.name, causes, is_stuck(causes, shards, updates, needed))}"
    )


def aggregate(manifest: RoundManifest, store: ContentStore) -> str:
    """CID of the Checkpoint that a round ends with."""
    from atlas.rounds.checkpoint import aggregate_round

    return aggregate_round(manifest, store)[0]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a round's base and of its checkpoint, on the same rows, measured by the same node."""

    base: dict[str, float]
    checkpoint: dict[str, float]
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """Whether the checkpoint is no worse than its base."""
        return not self.verdict.worse


def evaluation_result(job: OpenJob, outcome: CompletedTask) -> Evaluation:
    """The metrics and the verdict of an evaluation."""
    before, after = (outcome.receipt.metrics[cid] for cid in outcome.task.checkpoints[:2])
    return Evaluation(before, after, compare(before, after, job.spec.evaluation.tolerance))
