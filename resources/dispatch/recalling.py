"""Results that earlier runs received, so that no task is trained or paid twice."""

from collections.abc import Sequence

from atlas.content.store import ContentStore
from atlas.documents.manifests import SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import ContentError
from atlas.ids import TaskId
from atlas.spec.job import TaskSpec
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.registry import Attempt, JobRegistry, RoundRef


def recall_results(
    ref: RoundRef, tasks: Sequence[TaskSpec], registry: JobRegistry, store: ContentStore
) -> dict[TaskId, CompletedTask]:
    """The newest result of each task that has one, by task id; results whose bytes are gone are left out."""
    wanted = {task.task_id for task in tasks}
    found = {}
    for attempt in registry.attempts(ref):
        if attempt.state == "completed" and attempt.task_id in wanted:
            result = _recall(attempt, store)
            if result is not None:
                found[attempt.task_id] = result
    return found


def _recall(attempt: Attempt, store: ContentStore) -> CompletedTask | None:
    if attempt.receipt_cid is None:
        return None
    try:
        task = get_document(store, attempt.task_cid, TaskSpec)
        signed = get_document(store, attempt.receipt_cid, SignedReceipt)
        if signed.receipt.adapter is not None:
            store.fetch(signed.receipt.adapter)
    except ContentError:
        return None
    return CompletedTask(task, attempt.task_cid, attempt.node_id, signed, attempt.receipt_cid, adopted=True)
