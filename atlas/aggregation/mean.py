"""FedAvg on adapters: the weighted mean of each tensor (McMahan et al., arXiv:1602.05629; for LoRA: FedIT)."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from atlas.errors import AggregationError


def weighted_mean(updates: Sequence[tuple[Path, int]], out: Path) -> None:
    """Write Σ wᵢ·xᵢ / Σ wᵢ over float32 safetensors files of one schema, summed in float64 in the given order.

    Each element depends on nothing but its own column of inputs, so the bytes do not depend on threads or
    chunking. At most one tensor per update is in memory beside the result.
    """
    if not updates:
        raise AggregationError("A weighted mean needs at least one update, found none.")
    total = sum(weight for _, weight in updates)
    if any(weight <= 0 for _, weight in updates):
        raise AggregationError("Every weight must be a positive number of rows.")
    with ExitStack() as stack:
        files = [(stack.enter_context(safe_open(path, framework="numpy")), weight) for path, weight in updates]
        result: dict[str, NDArray[np.float32]] = {}
        for name in sorted(files[0][0].keys()):
            first = files[0][0].get_tensor(name)
            acc = np.zeros(first.shape, np.float64)
            for file, weight in files:
                acc += file.get_tensor(name).astype(np.float64) * weight
            result[name] = np.ascontiguousarray((acc / total).astype(np.float32))
    save_file(result, out, metadata={"format": "pt"})
