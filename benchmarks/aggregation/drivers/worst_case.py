"""Search for the worst updates against each rule of this project, in one scene."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent))

import numpy as np
from common import answer

from benchmarks.aggregation.worst.climb import cost, worst
from benchmarks.aggregation.worst.scenes import SCENES


def work(folder: str, scene: str, rules: list[str], seeds: list[int], restarts: int, steps: int) -> dict[str, Any]:
    """For each rule, the lowest cosine over the seeds; its updates are saved in `folder` for `flwr_worst`."""
    found: dict[str, Any] = {}
    for rule in rules:
        finds = [worst(rule, SCENES[scene], seed, restarts, steps) for seed in seeds]
        find = min(finds, key=lambda one: one.cosine)
        np.savez(Path(folder) / f"{rule}.npz", changes=find.changes, honest=find.honest, rows=find.rows)
        found[rule] = {
            "cosine": round(find.cosine, 3),
            "length": round(find.length, 3),
            "unlikeness": round(max(one.unlikeness for one in finds), 2),
            "cost": round(cost(rule, SCENES[scene]), 3),
        }
    return {"rules": found}


if __name__ == "__main__":
    answer(work)
