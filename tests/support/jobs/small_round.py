"""A job whose first round has two accepted updates and a refusal, and is under evaluation. Registry and content."""

import tempfile
from pathlib import Path

import numpy as np

from atlas.aggregation.files.adapter_files import write_adapter
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import (
    AcceptedUpdate,
    DatasetManifest,
    Environment,
    Receipt,
    RefusedUpdate,
    RoundManifest,
    ShardManifest,
    SignedReceipt,
    TrainingPoint,
)
from atlas.documents.stored import put_document
from atlas.home import AtlasHome
from atlas.rounds.checkpoint import aggregate_round, untrained_checkpoint
from atlas.spec.job import JobSpec, TaskSpec
from resources.jobs.registry import Attempt, JobRegistry, JobRow

CID = cid_of_bytes(b"any")
SHARDS = [ShardManifest(key=f"s00{at}", cid=cid_of_bytes(b"%d" % at), rows=10 * (at + 1), bytes=9) for at in range(3)]

SPEC = {
    "name": "tiny",
    "model": {"source": "package:minilm", "task": "sequence-classification"},
    "dataset": {"source": "rows.csv", "labels": ["no", "yes"], "shard_by": {"rows": 10}},
    "lora": {"rank": 4, "target_modules": ["q"]},
    "aggregation": {"robust": "none"},
    "payment": {"budget": 1, "reward_per_task": 1},
}


def small_round(home: AtlasHome, contract: str = "contract") -> RoundManifest:
    """Open the job `tiny` and aggregate its round 1: s000 and s001 count, the second attempt at s002 was refused."""
    store, registry = LocalStore(home.content), JobRegistry(home.jobs_database)

    def adapter(seed: int) -> str:
        rng = np.random.default_rng(seed)
        tensors = {"q.lora_A.weight": rng.normal(size=(4, 6)), "q.lora_B.weight": rng.normal(size=(5, 4))}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adapter"
            write_adapter(path, {name: value.astype(np.float32) for name, value in tensors.items()})
            return store.put(path)

    job = put_document(store, JobSpec.from_mapping(SPEC))
    base = put_document(store, untrained_checkpoint(job, adapter(0)))
    dataset = DatasetManifest(
        source="x", text_column="text", label_column=None, labels=[], shards=SHARDS, holdout=SHARDS[0]
    )
    row = JobRow("tiny", job, CID, put_document(store, dataset), base, contract, 1)
    registry.save_job(row)
    round_ = row.round(1)
    manifest = RoundManifest(
        job=job,
        round=1,
        base=base,
        strategy="fedavg",
        updates=[
            AcceptedUpdate(shard=shard.key, data=shard.cid, adapter=adapter(1 + at), weight=shard.rows)
            for at, shard in enumerate(SHARDS[:2])
        ],
        refused=[RefusedUpdate(shard="s002", attempt=2, adapter=None, gate="norm", reason="[red]too long[/red]")],
    )
    for slot, attempt in ((0, 1), (1, 1), (2, 1), (2, 2)):
        registry.record_assigned(round_, Attempt(slot, attempt, f"{slot}", CID, node_id=7 + slot))
    for slot, update in enumerate(manifest.updates):
        receipt = put_document(store, _receipt(update.data, base, update.adapter))
        registry.record_completed(round_, slot, 1, receipt, update.adapter)
    registry.record_lost(round_, 2, 1, "silence")
    registry.record_refused(round_, 2, 2, "norm", "[red]too long[/red]")
    checkpoint, _ = aggregate_round(manifest, store)
    task = TaskSpec(
        kind="evaluate", contract=contract, job_id=1, job=job, model=CID, round=1, slot=3, shard=None, data=CID,
        rows=10, base=base, attempt=1, checkpoints=[base, checkpoint],
    )  # fmt: skip
    registry.record_assigned(round_, Attempt(3, 1, "3", put_document(store, task), node_id=7))
    return manifest


def _receipt(data: str, base: str, adapter: str) -> SignedReceipt:
    """A receipt as it would be found in the store; nobody checks its signature again."""
    receipt = Receipt(
        task=CID,
        task_id="0" * 16,
        attempt=1,
        node="atlas1",
        data=data,
        base=base,
        adapter=adapter,
        losses=[TrainingPoint(step=1, loss=0.5)],
        environment=Environment(device="cpu", torch="2", transformers="5", peft="0", platform="x", precision="fp32"),
        started_at=0.0,
        finished_at=1.0,
    )
    return SignedReceipt(receipt=receipt, public_key="", signature="")
