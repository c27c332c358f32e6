"""This project's results under many orders of arrival, through content store, gates, manifest and checkpoint."""

import random
import tempfile
from pathlib import Path
from typing import Any

from atlas_files import gated, round_inputs
from common import answer, read_tensors, update_path, write_tensors

from atlas.aggregation.inputs import RoundInputs
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import AcceptedUpdate, RoundManifest
from atlas.documents.stored import put_document
from atlas.rounds.checkpoint import recompute, untrained_checkpoint
from atlas.spec.job import JobSpec


def work(folder: str, updates: int, orders: int, settings: dict[str, Any], rank: int = 16) -> dict[str, Any]:
    """The checkpoints' CIDs; each CID covers all files of its checkpoint."""
    inputs = round_inputs(_without_frozen(folder, updates, settings["strategy"]), updates, settings)
    spec = JobSpec.from_mapping(
        {
            "name": "orders",
            "model": {"source": "path:none", "task": "causal-lm"},
            "dataset": {"source": "none.csv", "label_column": None, "shard_by": {"rows": 1}},
            "lora": {"rank": rank, "alpha": 2 * rank, "target_modules": ["q_proj", "v_proj"]},
            "aggregation": settings,
            "payment": {"budget": 1, "reward_per_task": 1},
        }
    )
    draw = random.Random(4)
    found = set()
    for _ in range(orders):
        order = draw.sample(range(updates), updates)
        with tempfile.TemporaryDirectory(dir=folder) as home:
            found.add(_checkpoint(inputs, spec, order, LocalStore(Path(home)), rank))
    return {"digests": sorted(found), "changed": 0.0 if len(found) == 1 else None}


def _without_frozen(folder: str, updates: int, strategy: str) -> str:
    """A folder with the updates as nodes send them in round 1: without the factor that the strategy freezes."""
    factor = STRATEGIES[strategy].frozen_factor(1)
    if factor is None:
        return folder
    sent = Path(folder) / f"without-{factor}"
    sent.mkdir(exist_ok=True)
    write_tensors(sent / "base.safetensors", read_tensors(Path(folder) / "base.safetensors"))
    for number in range(updates):
        tensors = read_tensors(update_path(folder, number))
        kept = {name: values for name, values in tensors.items() if f".lora_{factor}." not in name}
        write_tensors(update_path(str(sent), number), kept)
    return str(sent)


def _checkpoint(inputs: RoundInputs, spec: JobSpec, order: list[int], store: LocalStore, rank: int) -> str:
    """One round whose updates arrive in this order."""
    job = put_document(store, spec)
    base = put_document(store, untrained_checkpoint(job, store.put(inputs.base)))
    assert not gated(inputs, rank, order)
    accepted = {}
    for number in order:
        update = inputs.updates[number]
        cid = store.put(update.path)
        accepted[number] = AcceptedUpdate(shard=update.shard, data=cid, adapter=cid, weight=update.weight)
    listed = [accepted[number] for number in sorted(accepted)]
    manifest = RoundManifest(job=job, round=1, base=base, strategy=inputs.settings.strategy, updates=listed)
    return put_document(store, recompute(manifest, store, store.put))


if __name__ == "__main__":
    answer(work)
