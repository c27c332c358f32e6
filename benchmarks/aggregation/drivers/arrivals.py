"""Results of one round under many orders of arrival, compared with the first one."""

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def compare(aggregate: Callable[[Sequence[int]], np.ndarray], updates: int, orders: int) -> dict[str, Any]:
    """Aggregate in `orders` random orders and compare each result with the first.

    Returns the results' digests, the share of numbers that any order changed, and the mean share that one order did.
    """
    draw = random.Random(4)
    digests, first, changed, shares = set(), None, None, []
    for _ in range(orders):
        result = aggregate(draw.sample(range(updates), updates))
        digests.add(hashlib.sha256(result.tobytes()).hexdigest()[:16])
        if first is None:
            first, changed = result, np.zeros(result.shape, bool)
            continue
        other = result.view(np.uint32) != first.view(np.uint32)
        changed |= other
        shares.append(float(other.mean()))
    return {
        "digests": sorted(digests),
        "changed": round(float(changed.mean()), 4) if changed is not None else 0.0,
        "changed_per_order": round(float(np.mean(shares)), 4) if shares else 0.0,
    }


def joined(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """All numbers of a result as one float32 row."""
    return np.concatenate([np.asarray(arrays[name], np.float32).ravel() for name in sorted(arrays)])
