"""Bucketing: rules get the means of small groups, which differ less than single honest updates."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.rule import Geometry
from atlas.aggregation.robust.settings import RobustSpec

Groups = Sequence[Sequence[int]]
"""The positions of each bucket's updates."""


def buckets(shards: Sequence[str], size: int, seed: str) -> list[list[int]]:
    """Group the shards' positions into as few buckets of at most `size` as possible; their sizes differ by at most one.

    The order of the shards is drawn from the seed and their keys (Karimireddy et al. 2006.09365).
    """
    drawn = sorted(range(len(shards)), key=lambda place: hashlib.sha256(f"{seed}/{shards[place]}".encode()).digest())
    count = -(-len(shards) // size)
    return [sorted(drawn[first::count]) for first in range(count)]


def settings_of_buckets(spec: RobustSpec) -> RobustSpec:
    """The settings adapted to buckets; a bucket is false when one of its updates is."""
    return spec.model_copy(update={"tolerated": spec.tolerated * spec.bucket_size, "bucket_size": 1})


def geometry_of_buckets(geometry: Geometry, groups: Groups) -> Geometry:
    """The geometry of the weighted means of the groups."""
    rows = _means(geometry.gram, geometry.weights, groups)
    return Geometry(
        weights=_sums(geometry.weights, groups),
        gram=_means(np.ascontiguousarray(rows.T), geometry.weights, groups),
        reference=None if geometry.reference is None else _means(geometry.reference, geometry.weights, groups),
        reference_square=geometry.reference_square,
    )


def coefficients_of_members(
    coefficients: NDArray[np.float64], weights: NDArray[np.float64], groups: Groups
) -> NDArray[np.float64]:
    """The coefficients of single updates, from those of the groups' weighted means."""
    found = np.zeros(len(weights))
    for coefficient, total, group in zip(coefficients, _sums(weights, groups), groups, strict=True):
        for place in group:
            found[place] = coefficient * weights[place] / total
    return found


def _means(values: NDArray[np.float64], weights: NDArray[np.float64], groups: Groups) -> NDArray[np.float64]:
    """The weighted mean of each group along the first axis, added up in the group's order."""
    found = np.zeros((len(groups), *values.shape[1:]))
    for place, (group, total) in enumerate(zip(groups, _sums(weights, groups), strict=True)):
        for member in group:
            found[place] += values[member] * (weights[member] / total)
    return found


def _sums(weights: NDArray[np.float64], groups: Groups) -> NDArray[np.float64]:
    found = np.zeros(len(groups))
    for place, group in enumerate(groups):
        for member in group:
            found[place] += weights[member]
    return found
