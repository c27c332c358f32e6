"""A federated run of one LoRA strategy on honest nodes."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

from common import answer

from benchmarks.aggregation.federated.judging import accuracies
from benchmarks.aggregation.federated.nodes import trained, untrained
from benchmarks.aggregation.federated.rounds import Model, aggregate
from benchmarks.aggregation.federated.sentiment import Task
from benchmarks.aggregation.federated.splits import split


def work(folder: str, task: dict[str, Any], kind: str, rounds: int) -> dict[str, Any]:
    """Accuracy after the last round, megabytes that a node sends in a round, and those merged into the base."""
    setup = Task.of(task)
    shards, model, sent = split(setup, kind), Model(untrained(setup)), 0
    for round_ in range(1, rounds + 1):
        frozen = setup.spec.aggregation.method.frozen_factor(round_)
        updates = [(shard, trained(setup, shard, model.adapter, model.merged, frozen, round_)) for shard in shards]
        sent += sum(path.stat().st_size for _, path in updates)
        model, refused = aggregate(setup, model, updates, round_, Path(folder) / f"round-{round_}")
        assert not refused, refused
    return {
        "accuracy": accuracies(setup, {"atlas": model})["atlas"],
        "sent": round(sent / rounds / len(shards) / 1e6, 3),
        "merged": round(sum(path.stat().st_size for path in model.merged) / 1e6, 3),
        "rows": [shard.rows for shard in shards],
    }


if __name__ == "__main__":
    answer(work)
