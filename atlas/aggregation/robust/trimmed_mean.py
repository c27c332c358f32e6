"""Trimmed mean: each number's mean without its extremes."""

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.order_statistics import mean_of_ranks
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.robust.settings import RobustSpec


def columns(values: NDArray[np.float32], spec: RobustSpec) -> NDArray[np.float64]:
    """The mean of each column without as many values at either end as updates may be false (Yin et al. 1803.01498).

    Updates count the same, whatever their rows.
    """
    updates = len(values)
    trim = spec.false_among(updates)
    return mean_of_ranks(values, trim, updates - trim)


RULE = Rule("trimmed-mean", "the mean of each number without its extremes", columns=columns)
