"""Aggregate one round of update files with Flower's strategies, even if the updates hold NaN or infinity."""

from pathlib import Path
from typing import Any

import numpy as np
from common import answer, read_tensors, write_tensors
from flwr.serverapp.strategy import FedAvg
from flwr_records import messages, record
from flwr_robust import strategy


def work(updates: list[str], claims: list[float], false: int, out: str) -> dict[str, Any]:
    """Write `fedavg`, `median`, `trimmed-mean` and `multi-krum` into the folder `out`; the claims are their weights."""
    written = {}
    for rule in ("fedavg", "median", "trimmed-mean", "multi-krum"):
        contents = [record(read_tensors(Path(path)), claim) for path, claim in zip(updates, claims, strict=True)]
        chosen = FedAvg() if rule == "fedavg" else strategy(rule, len(updates), false)
        with np.errstate(all="ignore"):
            arrays, _ = chosen.aggregate_train(1, messages(contents))
        written[rule] = str(Path(out) / f"flwr-{rule}.safetensors")
        write_tensors(Path(written[rule]), {name: array.numpy() for name, array in arrays.items()})
    return written


if __name__ == "__main__":
    answer(work)
