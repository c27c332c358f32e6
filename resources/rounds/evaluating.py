"""The evaluation of a round: the one that was already assigned, what it compares, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import ContentNotFound
from atlas.ids import Cid
from atlas.spec.job import JobSpec, TaskSpec
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt, JobRegistry, RoundRef
from resources.rounds.verdict import Verdict, compare


def assigned_evaluation(
    checkpoints: Sequence[Cid], slot: int, attempts: Sequence[Attempt], store: ContentStore
) -> TaskSpec | None:
    """The newest evaluation whose first checkpoints are these, base and result, as a first attempt; None if none was
    assigned.

    A round keeps it, even if an earlier version gave it other alternatives: another task would be refused on chain.
    """
    for attempt in reversed(attempts):
        if attempt.slot == slot:
            try:
                task = get_document(store, attempt.task_cid, TaskSpec)
            except ContentNotFound:
                continue
            if task.checkpoints[:2] == list(checkpoints):
                return task.model_copy(update={"attempt": 1, "resume": None})
    return None


def plain_mean_of(task: TaskSpec, store: ContentStore) -> Cid | None:
    """The CID of the plain average among an evaluation's checkpoints; None if it has none.

    That checkpoint names the same round manifest as the round's checkpoint; those without one update name other
    manifests. A last checkpoint that is gone from the store is not the plain average.
    """
    if len(task.checkpoints) < 3:
        return None
    manifest = get_document(store, task.checkpoints[1], Checkpoint).manifest
    last = task.checkpoints[-1]
    try:
        return last if get_document(store, last, Checkpoint).manifest == manifest else None
    except ContentNotFound:
        return None


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


def recorded_verdict(checkpoint: Cid, ref: RoundRef, registry: JobRegistry, store: ContentStore) -> Verdict | None:
    """The verdict of a round's evaluation, by this coordinator's record; None if it has none, or no longer its files.

    Raises `CorruptContent` for an altered file.
    """
    try:
        for attempt in reversed(registry.attempts(ref)):
            if attempt.receipt_cid is None:
                continue
            task = get_document(store, attempt.task_cid, TaskSpec)
            if task.checkpoints[1:2] != [checkpoint]:
                return None
            metrics = get_document(store, attempt.receipt_cid, SignedReceipt).receipt.metrics
            before, after = (metrics[cid] for cid in task.checkpoints[:2])
            return compare(before, after, get_document(store, task.job, JobSpec).evaluation.tolerance)
    except ContentNotFound:
        pass
    return None
