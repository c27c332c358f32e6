"""Centered clipping: no update has more influence than a typical one; outliers and opposing updates do not count."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.linear_algebra import cosine_matrix, distances_to, products_with
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec

NARROWEST = 0.8
"""The smallest radius of a pass, in radii of the first pass. Without it the radius shrinks to the spread of the largest
group of similar updates, and the centre follows that group: 31 % off the mean when 60 % of honest nodes had one kind of
data."""
FAR = 2.0
"""Distance, in radii, beyond which an update does not count. Honest nodes train equally long and land closer."""


def coefficients(geometry: Geometry, spec: RobustSpec) -> NDArray[np.float64]:
    """Coefficients of the centre of all updates that agree in direction with the majority.

    With an opposing minority, clipping preserves the direction but not the length: each false update cancels an honest
    one. So a first centre only determines the direction. The result is the centre of the updates with a positive inner
    product with it, or of all updates if these have no more than half of the weight.
    """
    gram, weights = geometry.gram, geometry.weights
    direction = _centre(gram, _without_echoes(gram, weights), spec)
    kept = np.where(products_with(gram, direction) > 0, weights, 0.0)
    total = math.fsum(kept)
    return _centre(gram, kept / total if total > 0.5 + 1e-9 else weights, spec)


def _without_echoes(gram: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by which similar updates share one influence: wᵢ / Σ wⱼ·max(0, cos)², scaled to a sum of one.

    Honest updates are less similar than those of colluding nodes (Fung et al. 1808.04866). If all are equally similar,
    the weights do not change. A zero change has no weight.
    """
    speaking = np.where(gram.diagonal() > 0, weights, 0.0)
    if not speaking.any():
        return weights
    echoes = np.zeros(len(weights))
    for row, weight in zip(np.maximum(cosine_matrix(gram), 0.0) ** 2, weights, strict=True):
        echoes += row * weight
    shares = speaking / echoes
    return np.asarray(shares / math.fsum(shares))


def _centre(gram: NDArray[np.float64], weights: NDArray[np.float64], spec: RobustSpec) -> NDArray[np.float64]:
    """Coefficients of the centre after `spec.passes` moves v ← v + Σ wᵢ·min(1, τ/‖δᵢ - v‖)·(δᵢ - v).

    Karimireddy et al. (2012.10333), from v = 0 (the round's base), with the rows' weights in place of 1/n, a radius τ
    computed from the round's updates, and a cut at `FAR` radii. v is always a sum Σ cᵢδᵢ, so all distances follow from
    the Gram matrix. The result is the weighted mean if no distance exceeds the radius.
    """
    centre = np.zeros(len(weights))
    narrowest = NARROWEST * _radius(distances_to(gram, centre), weights, spec)
    for _ in range(spec.passes):
        distances = distances_to(gram, centre)
        radius = max(narrowest, _radius(distances, weights, spec))
        pulls = weights * _clipped(distances, radius)
        centre = centre * max(0.0, 1 - math.fsum(pulls)) + pulls
    return centre


def _radius(distances: NDArray[np.float64], weights: NDArray[np.float64], spec: RobustSpec) -> float:
    """The smallest distance that contains more than half of the weight, times the clip factor.

    More than half, so that neither of two updates is clipped; with a small margin, so that the result does not depend
    on rounding.
    """
    order = np.argsort(distances, kind="stable")
    inside = 0.0
    for place in order:
        inside += float(weights[place])
        if inside > 0.5 + 1e-9:
            break
    return spec.clip_factor * float(distances[place])


def _clipped(distances: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """The factor of each difference: 1 up to the radius, radius / distance up to `FAR` radii, then 0."""
    left = np.ones(len(distances))
    beyond = distances > radius
    left[beyond] = radius / distances[beyond]
    left[distances > FAR * radius] = 0.0
    return left


RULE = Rule("centered-clipping", "a mean that no update can pull further than a typical one", coefficients=coefficients)
