"""Jobs whose rounds are all aggregated, evaluated and submitted, as registry, content and chain have them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from atlas.aggregation.files.adapter_files import write_adapter
from atlas.content.store import KeptStore
from atlas.documents.document import Document
from atlas.documents.manifests import (
    AcceptedUpdate,
    Checkpoint,
    DatasetManifest,
    Environment,
    ModelManifest,
    Receipt,
    RoundEvidence,
    RoundManifest,
    SavedCheckpoint,
    ShardManifest,
    SignedReceipt,
    TaskRecord,
)
from atlas.documents.stored import put_document
from atlas.rounds.checkpoint import aggregate_round, untrained_checkpoint
from atlas.rounds.diagnose import diagnose_round
from atlas.spec.job import JobSpec, TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Job, Round
from resources.jobs.registry import Attempt, JobRegistry, JobRow

CONTRACT = "contract"
SPEC = {
    "model": {"source": "package:minilm", "task": "sequence-classification"},
    "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 3}},
    "lora": {"rank": 4, "target_modules": ["q"]},
    "aggregation": {"robust": "none"},
    "payment": {"budget": 1, "reward_per_task": 1},
}
ENVIRONMENT = Environment(device="cpu", torch="2", transformers="5", peft="0", platform="x", precision="fp32")


@dataclass
class FinishedJob:
    """A job, and every CID that was put for it, by what it is there."""

    row: JobRow
    checkpoints: list[str] = field(default_factory=list)
    """By round, from round 0."""
    rounds: list[Round] = field(default_factory=list)
    cids: dict[str, set[str]] = field(default_factory=dict)

    def all(self) -> set[str]:
        return set().union(*self.cids.values())

    def on_chain(self, state: str = "closed", reserved: int = 0) -> Job:
        row = self.row
        return Job(
            id=row.job_id, owner="atlas1", key=row.name, spec=row.spec_cid, dataset=row.dataset_cid, shards=2,
            rounds=len(self.rounds), reward=1, deposited=9, reserved=reserved, paid=0, refunded=0, lease_seconds=60,
            state=state,
        )  # fmt: skip


class Maker:
    """Makes jobs in one store and registry."""

    def __init__(self, store: KeptStore, registry: JobRegistry) -> None:
        self.store, self.registry = store, registry

    def job(
        self, name: str, job_id: int, rounds: int, strategy: str = "fedavg", outer: str = "none"
    ) -> FinishedJob:  # fmt: skip
        spec = JobSpec.from_mapping(
            {
                **SPEC,
                "name": name,
                "rounds": rounds,
                "aggregation": {"robust": "none", "strategy": strategy, "outer": outer},
            }
        )
        shards = [self._shard(f"s00{at}", f"text {at}\n" * 3) for at in range(2)]
        holdout = self._shard("holdout", "held out\n" * 3)
        dataset = DatasetManifest(
            source="rows.csv", text_column="text", label_column=None, labels=[], shards=shards, holdout=holdout
        )
        model = ModelManifest(source="package:minilm", files={"model.safetensors": shards[0].cid})
        start = self._adapter(job_id * 100)
        row = JobRow(
            name, self._put(spec), self._put(model), self._put(dataset),
            self._put(untrained_checkpoint(spec.cid, start)),
            CONTRACT, job_id,
        )  # fmt: skip
        self.registry.save_job(row)
        made = FinishedJob(row, [row.genesis_cid])
        made.cids["order"] = {row.spec_cid, row.model_cid, row.dataset_cid, row.genesis_cid, holdout.cid}
        made.cids["data"] = {shard.cid for shard in shards}
        made.cids["weights of round 0"] = {start}
        for number in range(1, rounds + 1):
            self._round(made, number, shards, holdout, strategy)
        return made

    def _round(
        self, made: FinishedJob, number: int, shards: list[ShardManifest], holdout: ShardManifest, strategy: str
    ) -> None:  # fmt: skip
        row, base, seed = made.row, made.checkpoints[-1], made.row.job_id * 100 + number * 10
        record, passing = made.cids.setdefault("record", set()), made.cids.setdefault("passing", set())
        updates, tasks = [self._adapter(seed + 1 + slot) for slot in range(2)], []
        for slot, shard in enumerate(shards):
            tasks.append(self._task(row, number, base, slot, shard, kind="train"))
            receipt = self._receipt(tasks[-1], updates[slot])
            record |= {tasks[-1].cid, receipt.cid}
            passing |= {receipt.receipt.encoded, *(saved.cid for saved in receipt.receipt.checkpoints)}
            self._attempt(made, number, tasks[-1], receipt, updates[slot])
        manifest = RoundManifest(
            job=row.spec_cid, round=number, base=base, strategy=strategy,
            updates=[
                AcceptedUpdate(shard=shard.key, data=shard.cid, adapter=update, weight=shard.rows)
                for shard, update in zip(shards, updates, strict=True)
            ],
        )  # fmt: skip
        checkpoint, document = aggregate_round(manifest, self.store)
        without = manifest.model_copy(update={"updates": manifest.updates[:1]})
        rival, rival_document = aggregate_round(without, self.store)
        evaluation = self._task(row, number, base, 2, holdout, kind="evaluate", checkpoints=[base, checkpoint, rival])
        tasks.append(evaluation)
        receipt = self._receipt(evaluation, None)
        self._attempt(made, number, evaluation, receipt, receipt.cid)
        plan = TaskPlan.over(tasks)
        evidence = RoundEvidence(
            contract=CONTRACT, job_id=row.job_id, round=number, checkpoint=checkpoint,
            records=[TaskRecord(slot=2, shard=None, node_id=1, attempt=1, receipt=receipt.cid, result=receipt.cid)],
        )  # fmt: skip
        diagnostics = diagnose_round(manifest, self.store)
        record |= {self._put(one) for one in (evaluation, receipt, plan, evidence, diagnostics)}
        record |= {checkpoint, manifest.cid}
        weights = made.cids[f"weights of round {number}"] = files_of(document)
        passing |= {rival, without.cid} | (files_of(rival_document) - weights)
        made.cids.setdefault("update", set()).update(updates)
        made.checkpoints.append(checkpoint)
        made.rounds.append(
            Round(
                job=row.job_id, round=number, root="A" * 44, leaf_count=3, checkpoint=checkpoint, evidence=evidence.cid,
                per_node=[], submitted_at=1, settle_from=1, settled_at=2, open_challenges=0, struck=[],
            )
        )  # fmt: skip

    def _attempt(
        self, made: FinishedJob, number: int, task: TaskSpec, receipt: SignedReceipt, result: str
    ) -> None:  # fmt: skip
        ref = made.row.round(number)
        self.registry.record_assigned(ref, Attempt(task.slot, 1, task.task_id, self._put(task), node_id=1))
        self.registry.record_completed(ref, task.slot, 1, receipt.cid, result)
        for saved in receipt.receipt.checkpoints:
            self.registry.record_checkpoint(task.task_id, saved)

    def _task(self, row: JobRow, number: int, base: str, slot: int, data: ShardManifest, **fields) -> TaskSpec:
        return TaskSpec(
            contract=CONTRACT, job_id=row.job_id, job=row.spec_cid, model=row.model_cid, round=number, slot=slot,
            shard=data.key if fields["kind"] == "train" else None, data=data.cid, rows=data.rows, base=base, attempt=1,
            **fields,
        )  # fmt: skip

    def _receipt(self, task: TaskSpec, adapter: str | None) -> SignedReceipt:
        """With what a node uploads beside its update: the update encoded, and a training checkpoint."""
        text = f"{task.task_id} {task.round} {task.job}"
        uploads = {
            "encoded": self.store.put(f"encoded {text}".encode()),
            "checkpoints": [SavedCheckpoint(step=1, cid=self.store.put(f"training checkpoint {text}".encode()))],
        }
        receipt = Receipt(
            task=task.cid, task_id=task.task_id, attempt=1, node="atlas1", data=task.data, base=task.base,
            adapter=adapter, environment=ENVIRONMENT, started_at=0.0, finished_at=1.0,
            **(uploads if adapter else {}),
        )  # fmt: skip
        signed = SignedReceipt(receipt=receipt, public_key="", signature="")
        self._put(signed)
        return signed

    def _shard(self, key: str, lines: str) -> ShardManifest:
        return ShardManifest(key=key, cid=self.store.put(lines.encode()), rows=lines.count("\n"), bytes=len(lines))

    def _adapter(self, seed: int) -> str:
        rng = np.random.default_rng(seed)
        tensors = {"q.lora_A.weight": rng.normal(size=(4, 6)), "q.lora_B.weight": rng.normal(size=(5, 4))}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adapter"
            write_adapter(path, {name: value.astype(np.float32) for name, value in tensors.items()})
            return self.store.put(path)

    def _put(self, document: Document) -> str:
        return put_document(self.store, document)


def files_of(checkpoint: Checkpoint) -> set[str]:
    return {checkpoint.adapter, *checkpoint.merged} | _optional(checkpoint.optimizer)


def _optional(cid: str | None) -> set[str]:
    return {cid} - {None}
