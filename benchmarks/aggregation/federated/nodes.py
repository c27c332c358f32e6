"""Training on a node, with a cache: runs that share a checkpoint train from it only once."""

import fcntl
import hashlib
import json
import tempfile
from pathlib import Path

from atlas.aggregation.files.factors import Factor
from atlas.content.format.cid import cid_of_file
from atlas.training.models.initialize import initialize
from atlas.training.train import TrainRequest, train
from benchmarks.aggregation.federated.sentiment import Shard, Task


def untrained(task: Task) -> Path:
    """The adapter of round 0."""
    path = task.home / "trained" / f"round-0-{task.seed}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            fresh = Path(work) / "adapter.safetensors"
            initialize(task.spec, task.model, task.cache, fresh, 1)
            fresh.replace(path)
    return path


def trained(task: Task, shard: Shard, base: Path, merged: tuple[Path, ...], frozen: Factor | None, round_: int) -> Path:
    """The update of a shard in a round."""
    seed = 1000 * task.seed + 100 * round_ + int(shard.key.removeprefix("s"))
    known = {
        "training": task.spec.training.model_dump(mode="json"),
        "lora": task.spec.lora.model_dump(mode="json"),
        "files": [cid_of_file(path) for path in (shard.path, base, *merged)],
        "frozen": frozen,
        "seed": seed,
    }
    name = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:24]
    path = task.home / "trained" / f"{name}.safetensors"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _train(task, shard, base, merged, frozen, seed, path)
    return path


def _train(
    task: Task, shard: Shard, base: Path, merged: tuple[Path, ...], frozen: Factor | None, seed: int, path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        request = TrainRequest(
            spec=task.spec,
            model=task.model,
            shard=shard.path,
            base_adapter=base,
            seed=seed,
            work=Path(work),
            cache=task.cache,
            merged=merged,
            frozen=frozen,
            device="cpu",
            threads=1,
        )
        result = train(request, lambda progress: None, lambda step, checkpoint: None, lambda: False)
        assert result.adapter is not None
        result.adapter.replace(path)
