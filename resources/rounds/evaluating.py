"""The evaluation of a round: its checkpoints, or the evaluation that was already assigned."""

from collections.abc import Mapping

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document
from atlas.errors import ContentNotFound
from atlas.spec.job import TaskSpec
from resources.jobs.open_job import OpenJob
from resources.jobs.registry import JobRegistry
from resources.rounds.scoring import manifest_of
from resources.rounds.steps import evaluation_task


def plan_evaluation(
    job: OpenJob,
    number: int,
    base: str,
    checkpoint: str,
    without: Mapping[str, str],
    store: ContentStore,
    registry: JobRegistry,
) -> TaskSpec:
    """The first attempt at evaluating a round's checkpoint, with the alternatives that are cheap to evaluate.

    These are the checkpoints `without` one update each, by shard, if the scores need them, and the result of plain
    averaging if the robust rule changed anything. A round whose evaluation was already assigned, perhaps by an earlier
    version with other alternatives, keeps it: another task would be refused on chain.
    """
    from atlas.rounds.checkpoint import plain_mean  # numpy, which most importers of this module do not need

    given = _given(job, number, base, checkpoint, store, registry)
    if given is not None:
        return given
    mean = plain_mean(manifest_of(checkpoint, store), store)
    rival = None if mean is None or mean[0] == checkpoint else mean[0]
    return evaluation_task(job, number, base, checkpoint, without, rival)


def plain_mean_of(task: TaskSpec, store: ContentStore) -> str | None:
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


def _given(
    job: OpenJob, number: int, base: str, checkpoint: str, store: ContentStore, registry: JobRegistry
) -> TaskSpec | None:  # fmt: skip
    """The newest evaluation of these two checkpoints that was assigned, as a first attempt."""
    for attempt in reversed(registry.attempts(job.round(number))):
        if attempt.slot == job.evaluation_slot:
            try:
                task = get_document(store, attempt.task_cid, TaskSpec)
            except ContentNotFound:
                continue
            if task.checkpoints[:2] == [base, checkpoint]:
                return task.model_copy(update={"attempt": 1, "resume": None})
    return None
