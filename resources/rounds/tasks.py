"""The tasks of a round: one per shard, the evaluation, and the coordinator's own on the reference rows."""

from collections.abc import Collection, Mapping
from typing import Any

from atlas.documents.manifests import ShardManifest
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.verification.contribution import FEWEST_ROWS, rows_to_sample
from resources.jobs.opened import OpenJob


def training_tasks(job: OpenJob, number: int, base: Cid, shards: Collection[str] | None = None) -> list[TaskSpec]:
    """First attempts at training a round's shards, all or those with these keys, in shard order."""
    return [
        _task(job, number, base, "train", slot, shard)
        for slot, shard in enumerate(job.dataset.shards)
        if shards is None or shard.key in shards
    ]


def reference_task(job: OpenJob, number: int, base: Cid, rows: ShardManifest) -> TaskSpec:
    """The task on the reference rows, which no node gets: the coordinator trains it itself."""
    return _task(job, number, base, "train", job.evaluation_slot + 1, rows)


def evaluation_task(
    job: OpenJob,
    number: int,
    base: Cid,
    checkpoint: Cid,
    without: Mapping[str, Cid] | None = None,
    mean: Cid | None = None,
) -> TaskSpec:
    """The first attempt at evaluating a round's checkpoint and its base on the held-out rows.

    `without` adds, by shard, the checkpoints that leave out one update each (`Round.checkpoints_without`), `mean` the
    result of plain averaging; these are evaluated on a sample of the rows.
    """
    task = _task(job, number, base, "evaluate", job.evaluation_slot, job.dataset.holdout)
    changes: dict[str, Any] = {"shard": None, "checkpoints": [base, checkpoint]}
    rivals = [*(without or {}).values(), *([mean] if mean else [])]
    if rivals:
        rows = rows_to_sample(len(without)) if without else FEWEST_ROWS
        changes |= {"checkpoints": [base, checkpoint, *rivals], "sample_rows": rows}
    return task.model_copy(update=changes)


def _task(job: OpenJob, number: int, base: Cid, kind: str, slot: int, data: ShardManifest) -> TaskSpec:
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
