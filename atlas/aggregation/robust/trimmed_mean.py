"""Trimmed mean: each number's mean without its extremes."""

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.order_statistics import mean_of_ranks
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.robust.settings import RobustSpec


def columns(values: NDArray[np.float32], spec: RobustSpec) -> NDArray[np.float64]:
    """The mean of each column without the f largest and f smallest values, f being the tolerated number of false
    updates (Yin et al. 1803.01498).

    All updates count equally, regardless of their rows.
    """
    updates = len(values)
    trim = spec.false_among(updates)
    return mean_of_ranks(values, trim, updates - trim)


RULE = Rule("trimmed-mean", "the mean of each number without its extremes", columns=columns)
