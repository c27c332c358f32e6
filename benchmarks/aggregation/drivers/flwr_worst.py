"""Run Flower's strategies on the updates that `worst_case` found against the same rules."""

from pathlib import Path
from typing import Any

import numpy as np
from common import answer
from flwr.serverapp.strategy import FedAvg
from flwr_records import messages, record
from flwr_robust import strategy

RULES = {"none": "fedavg", "median": "median", "trimmed-mean": "trimmed-mean", "multi-krum": "multi-krum"}


def work(folder: str, false: int) -> dict[str, Any]:
    """The cosine of each strategy's step with the honest mean."""
    found = {}
    for ours, name in RULES.items():
        kept = np.load(Path(folder) / f"{ours}.npz")
        changes, wanted = kept["changes"], kept["honest"].mean(axis=0)
        contents = [
            record({"a": row.astype(np.float32)}, float(rows)) for row, rows in zip(changes, kept["rows"], strict=True)
        ]
        chosen = FedAvg() if name == "fedavg" else strategy(name, len(changes), min(false, 3 * len(changes) // 10))
        arrays, _ = chosen.aggregate_train(1, messages(contents))
        step = arrays["a"].numpy().astype(np.float64)
        lengths = float(np.linalg.norm(step) * np.linalg.norm(wanted))
        found[name] = round(float(step @ wanted) / lengths, 3) if lengths > 0 else 0.0
    return {"cosines": found}


if __name__ == "__main__":
    answer(work)
