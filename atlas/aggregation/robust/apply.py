"""Compute the coefficients of a round's updates from its geometry."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.bucketing import (
    buckets,
    coefficients_of_members,
    geometry_of_buckets,
    settings_of_buckets,
)
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.robust.weights import capped
from atlas.errors import AggregationError


def apply_rule(
    rule: Rule, geometry: Geometry, spec: RobustSpec, shards: Sequence[str], seed: str
) -> NDArray[np.float64]:
    """(N,) coefficients of the changes by a rule, with capped weights, and with buckets if the settings enable them.

    Raises `AggregationError` for a rule that works on columns, or if a required reference is missing.
    """
    if rule.coefficients is None:
        raise AggregationError(f"{rule.name} gives a value for each column and no coefficients; use its columns.")
    geometry = replace(geometry, weights=capped(geometry.weights, spec))
    if spec.bucket_size == 1:
        return rule.coefficients(geometry, spec)
    groups = buckets(shards, spec.bucket_size, seed)
    found = rule.coefficients(geometry_of_buckets(geometry, groups), settings_of_buckets(spec))
    return coefficients_of_members(found, geometry.weights, groups)
