"""Multi-Krum: the mean of the updates that lie closest to their neighbours."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.linear_algebra import squared_distances
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec


def coefficients(geometry: Geometry, spec: RobustSpec) -> NDArray[np.float64]:
    """The weights of the N - f updates with the lowest scores; ties are broken by position.

    A score is the sum of the squared distances to the N - f - 2 nearest others (Blanchard et al. 2017). f is the number
    of false updates that the settings tolerate, reduced until N > 2f + 2 holds. With four updates or fewer none is left
    out, and the result is the weighted mean.
    """
    updates = len(geometry.weights)
    false = max(0, min(spec.false_among(updates), (updates - 3) // 2))
    distances = squared_distances(geometry.gram)
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, : max(0, updates - false - 2)]
    scores = np.array([math.fsum(row) for row in nearest])
    chosen = np.argsort(scores, kind="stable")[: updates - false]
    found = np.zeros(updates)
    found[chosen] = geometry.weights[chosen] / math.fsum(geometry.weights[chosen])
    return found


RULE = Rule("multi-krum", "the mean of the updates closest to their neighbours", coefficients=coefficients)
