"""Order statistics of many columns at once."""

import numpy as np
from numpy.typing import NDArray

CACHE_BYTES = 512 * 1024
"""Bytes that one pass sorts; fits the second-level cache of a processor core."""
NARROWEST = 64


def mean_of_ranks(values: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float64]:
    """(width,): the mean of the values of rank start..stop-1 in each column of (N, width), summed in that order.

    Each column's values are made contiguous and fully sorted, which NumPy does with vector instructions: for 50 updates
    eight times as fast as np.partition with AVX2 or later. The result is bit-identical for any order of updates and any
    width.
    """
    updates, width = values.shape
    found = np.zeros(width)
    chunk = max(NARROWEST, CACHE_BYTES // (4 * updates))
    for first in range(0, width, chunk):
        lines = np.ascontiguousarray(values[:, first : first + chunk].T)
        lines.sort(axis=1)
        total = found[first : first + chunk]
        for rank in np.ascontiguousarray(lines[:, start:stop].T):
            total += rank
        total /= stop - start
    return found
