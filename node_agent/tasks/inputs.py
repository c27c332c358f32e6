"""A task's inputs: fetched by CID, verified, and written to an order for the trainer."""

import hashlib
import logging
import os
from pathlib import Path

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, ModelManifest
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.ids import Cid
from atlas.models.files import locate_model
from atlas.spec.job import JobSpec, TaskSpec
from node_agent.home.residuals import Residuals, residual_place
from node_agent.tasks.trainer_files import EvaluatedAdapter, TrainerOrder

log = logging.getLogger(__name__)


def data_order_seed(spec: JobSpec, task: TaskSpec) -> int:
    """The seed of a task's order of rows and of dropout, as `order_seed` computes it."""
    return order_seed(spec, task.data, task.round)


def order_seed(spec: JobSpec, data: Cid, round_: int) -> int:
    """The seed for the rows `data` (a CID) in a round: equal on every node and attempt, different in every round.

    It is SHA-256 of `{spec.training.seed}:{data}:{round_}`, read as a number, modulo 2**31.
    """
    digest = hashlib.sha256(f"{spec.training.seed}:{data}:{round_}".encode()).digest()
    return int.from_bytes(digest, "big") % 2**31


def prepare_order(
    task: TaskSpec,
    data: Path,
    resume: Cid | None,
    store: ContentStore,
    cache: Path,
    threads: int,
    device: str | None,
    residuals: Residuals | None = None,
) -> TrainerOrder:
    """Fetch all inputs of a task but its rows, `data`; missing or altered inputs raise an `AtlasError`.

    Only `resume` may be missing: training then starts from the beginning, at the cost of time. The base model is
    fetched here, and the trainer compares its files with the manifest right before it loads them. A residual in
    `residuals` is added to the update. Blocks.
    """
    spec = get_document(store, task.job, JobSpec)
    model = get_document(store, task.model, ModelManifest)
    locate_model(model.source, model.revision, cache)
    order = TrainerOrder(
        kind=task.kind,
        task_id=task.task_id,
        spec=spec,
        model=model,
        data=data,
        cache=cache,
        threads=threads,
        device=device,
        parent=os.getpid(),
        seed=data_order_seed(spec, task),
    )
    if task.kind == "evaluate":
        adapters = [_files(cid, task, store) for cid in task.checkpoints]
        return order.model_copy(update={"adapters": adapters, "sample_rows": task.sample_rows})
    base = _files(task.base, task, store)
    inputs = {
        "base_adapter": base.adapter,
        "merged": base.merged,
        "frozen": spec.aggregation.method.frozen_factor(task.round),
        "rank": task.rank,
        "resume": _optional(resume, store),
        "compression": spec.aggregation.compression,
        "residual": residuals.before(residual_place(task), task.round) if residuals else None,
    }
    return order.model_copy(update=inputs)


def _files(cid: Cid, task: TaskSpec, store: ContentStore) -> EvaluatedAdapter:
    """The files of a checkpoint of the task's job."""
    checkpoint = get_document(store, cid, Checkpoint)
    if checkpoint.job != task.job:
        raise SpecError(f"The checkpoint {cid} is of job {checkpoint.job}, but the task is of job {task.job}.")
    merged = [store.fetch(factors) for factors in checkpoint.merged]
    return EvaluatedAdapter(checkpoint=cid, adapter=store.fetch(checkpoint.adapter), merged=merged)


def _optional(cid: Cid | None, store: ContentStore) -> Path | None:
    if cid is None:
        return None
    try:
        return store.fetch(cid)
    except ContentError as error:
        log.warning("training starts from the beginning, because its checkpoint cannot be fetched: %s", error)
        return None
