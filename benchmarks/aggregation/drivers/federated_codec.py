"""A federated run whose updates are compressed by one codec."""

import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from common import answer, read_tensors

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.compression.wire import encode_update
from benchmarks.aggregation.federated.judging import accuracies
from benchmarks.aggregation.federated.nodes import trained, untrained
from benchmarks.aggregation.federated.rounds import Model, aggregate
from benchmarks.aggregation.federated.sentiment import Task


def work(folder: str, task: dict[str, Any], codec: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Bytes that a node sends in a round, the relative error of the last round's first update, and the accuracy."""
    setup = Task.of(task)
    model, residuals, sizes, error = Model(untrained(setup)), dict[str, Path](), list[int](), 0.0
    for round_ in range(1, rounds + 1):
        updates = []
        for shard in setup.shards:
            update = trained(setup, shard, model.adapter, (), None, round_)
            if codec["codec"] == "none":
                sizes.append(update.stat().st_size)
                updates.append((shard, update))
                continue
            place = Path(folder) / f"{codec['codec']}-{round_}-{shard.key}"
            place.mkdir(parents=True, exist_ok=True)
            sent = encode_update(update, model.adapter, CompressionSpec(**codec), residuals.get(shard.key), place)
            if sent.residual:
                residuals[shard.key] = sent.residual
            sizes.append(sent.file.stat().st_size)
            updates.append((shard, sent.decoded))
            error = _error(update, sent.decoded, model.adapter) if shard is setup.shards[0] else error
        if codec["codec"] == "none":
            shutil.copyfile(updates[0][1], Path(folder) / "update.safetensors")
            shutil.copyfile(model.adapter, Path(folder) / "base.safetensors")
        model, _ = aggregate(setup, model, updates, round_, Path(folder) / f"{codec['codec']}-{round_}")
    return {
        "bytes": round(sum(sizes) / len(sizes)),
        "error": error,
        "accuracy": accuracies(setup, {"atlas": model})["atlas"],
    }


def _error(update: Path, decoded: Path, base: Path) -> float:
    """‖decoded - update‖ / ‖update - base‖."""
    new, back, old = read_tensors(update), read_tensors(decoded), read_tensors(base)
    lost = sum(float(((back[name] - new[name]).astype("f8") ** 2).sum()) for name in new)
    whole = sum(float(((new[name] - old[name]).astype("f8") ** 2).sum()) for name in new)
    return float((lost / whole) ** 0.5)


if __name__ == "__main__":
    answer(work)
