"""FLTrust: an update counts by its agreement in direction with training on trusted rows."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec
from atlas.errors import AggregationError


def coefficients(geometry: Geometry, spec: RobustSpec) -> NDArray[np.float64]:
    """Coefficients by the cosine with the reference's change, for changes cut to its length (Cao et al. 2012.13995).

    The weights of the rows are factors, too. Unlike in the paper, shorter changes are not scaled up, which would
    amplify noise. A zero change, or one with a negative cosine, gets coefficient 0; if all do, all coefficients are 0.
    Raises `AggregationError` without a reference.
    """
    if geometry.reference is None:
        raise AggregationError("fltrust needs the update of the reference rows, found none in this round.")
    lengths, length = np.sqrt(geometry.gram.diagonal()), math.sqrt(geometry.reference_square)
    found = np.zeros(len(lengths))
    able = lengths > 0
    if length == 0:
        return found
    cosines = geometry.reference[able] / lengths[able] / length
    trust = geometry.weights[able] * np.maximum(cosines, 0.0)
    total = math.fsum(trust)
    if total > 0:
        found[able] = trust / total * np.minimum(1.0, length / lengths[able])
    return found


RULE = Rule(
    "fltrust",
    "weights by agreement with an update from the coordinator's own rows",
    coefficients=coefficients,
    needs_reference=True,
)
