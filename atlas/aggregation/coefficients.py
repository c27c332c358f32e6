"""The coefficient of each update of a round: by its rows alone, or by a robust rule from the round's geometry."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.algebra.gram import flat_gram
from atlas.aggregation.algebra.products import product_gram
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Geometry
from atlas.errors import AggregationError


def coefficients_of(inputs: RoundInputs, geometry: Geometry | None = None) -> list[float]:
    """One coefficient per update: not negative, with a sum of at most one. `geometry` is computed if not given.

    Raises `AggregationError` when the files do not fit together or the rule cannot be applied to them.
    """
    name = inputs.settings.robust.rule
    if name == "none":
        return [float(weight) for weight in weights_of(inputs.updates)]
    shards = [update.shard for update in inputs.updates]
    geometry = geometry or geometry_of(inputs)
    found = apply_rule(RULES[name], geometry, inputs.settings.robust, shards, inputs.seed)
    coefficients = [float(coefficient) for coefficient in found]
    if not np.isfinite(found).all() or min(coefficients) < 0 or math.fsum(coefficients) > 1 + 1e-9:
        raise AggregationError(
            f"The rule {name} must give coefficients from zero with a sum of one at most; found {coefficients}."
        )
    return coefficients


def geometry_of(inputs: RoundInputs) -> Geometry:
    """Inner products of the updates' changes: elementwise for flat strategies, as weight products otherwise."""
    weights, paths = weights_of(inputs.updates), [update.path for update in inputs.updates]
    if inputs.settings.method.flat:
        gram = flat_gram(inputs.base, paths, inputs.reference)
    else:
        gram = product_gram(inputs.base, paths, inputs.reference, inputs.scaling)
    count = len(paths)
    if inputs.reference is None:
        return Geometry(weights, gram)
    return Geometry(weights, gram[:count, :count], gram[:count, count], float(gram[count, count]))


def geometry_without(geometry: Geometry, inputs: RoundInputs, left_out: int) -> Geometry:
    """The geometry of a round without the update at this place, from the round's own, without reading a file.

    Each inner product depends on its two updates alone, so the result has the same bits as `geometry_of` the others.
    Raises `AggregationError` when no update is left.
    """
    weights = weights_of([*inputs.updates[:left_out], *inputs.updates[left_out + 1 :]])
    gram = np.delete(np.delete(geometry.gram, left_out, axis=0), left_out, axis=1)
    reference = None if geometry.reference is None else np.delete(geometry.reference, left_out)
    return Geometry(weights, gram, reference, geometry.reference_square)


def weights_of(updates: Sequence[Update]) -> NDArray[np.float64]:
    """The updates' shares of the rows. Raises `AggregationError` when there is no update, or one without rows."""
    weights = [update.weight for update in updates]
    if not weights or min(weights) <= 0:
        raise AggregationError(f"A round needs updates of one row or more each; found the weights {weights[:20]}.")
    total = sum(weights)
    return np.array([weight / total for weight in weights])
