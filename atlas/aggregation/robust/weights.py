"""The weights that a robust rule starts from: the rows of the shards, within limits."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.settings import RobustSpec

HALVINGS = 60


def capped(weights: NDArray[np.float64], spec: RobustSpec) -> NDArray[np.float64]:
    """Weights with a sum of one, of which the f heaviest hold at most halfway from their fair part f/N to a half.

    f is what the settings tolerate, and at least one. Rules withstand false updates by weight, and whoever lies would
    take the largest shards: three of ten can hold most of the rows. So the largest weights are cut to one common cap,
    the highest that leaves them 40 % in that case. Weights that keep the limit anyway stay as they are; two updates
    count the same.
    """
    heaviest = max(1, spec.false_among(len(weights)))
    limit = (heaviest / len(weights) + 0.5) / 2

    def within(cap: float) -> bool:
        cut = np.sort(np.minimum(weights, cap))
        return math.fsum(cut[-heaviest:]) <= limit * math.fsum(cut)

    low, high = float(weights.min()), float(weights.max())
    if within(high):
        return weights
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) else (low, middle)
    cut = np.minimum(weights, low)
    return cut / math.fsum(cut)
