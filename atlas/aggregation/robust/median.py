"""Median: the middle value of each number."""

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.order_statistics import mean_of_ranks
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.robust.settings import RobustSpec


def columns(values: NDArray[np.float32], spec: RobustSpec) -> NDArray[np.float64]:
    """The median of each column; for an even number of updates, the mean of the two middle values (Yin et al. 2018).

    All updates count equally, regardless of their rows.
    """
    updates = len(values)
    return mean_of_ranks(values, (updates - 1) // 2, updates // 2 + 1)


RULE = Rule("median", "the middle value of each number", columns=columns)
