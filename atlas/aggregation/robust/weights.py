"""The initial weights of a robust rule: the rows of the shards, capped."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.settings import RobustSpec

HALVINGS = 60


def capped(weights: NDArray[np.float64], spec: RobustSpec) -> NDArray[np.float64]:
    """Weights with a sum of one, of which the f heaviest hold at most halfway between their equal share f/N and 1/2.

    f is the tolerated number of false updates, at least one. Rules tolerate false updates by weight, and an attacker
    would take the largest shards: three of ten can hold most of the rows. So the largest weights are cut to a common
    cap, the highest one that meets the limit, which is 40 % in that example. Weights within the limit do not change;
    two updates count equally.
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
