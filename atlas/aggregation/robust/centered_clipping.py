"""Centered clipping: no update pulls further than a typical one; one that strays or pulls back does not count."""

import math

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.linear_algebra import cosine_matrix, distances_to, products_with
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec

NARROWEST = 0.8
"""Radius of any pass, in radii of the first. Without it the radius shrinks to the scatter inside the largest group of
like updates, and the centre goes with that group: 31 % off the mean when 60 % of honest nodes had one kind of data."""
FAR = 2.0
"""Distance, in radii, beyond which an update does not count. Honest nodes train equally long and land closer."""


def coefficients(geometry: Geometry, spec: RobustSpec) -> NDArray[np.float64]:
    """Coefficients of the centre of all updates that point where most of them point.

    Clipping keeps the direction against a minority that pushes back, but not the length: each false update takes as
    much as an honest one gives. So a first centre only tells the direction, and the result is the centre of the updates
    of which the inner product with the first is positive; of all, if these have no more than half of the weight.
    """
    gram, weights = geometry.gram, geometry.weights
    direction = _centre(gram, _without_echoes(gram, weights), spec)
    kept = np.where(products_with(gram, direction) > 0, weights, 0.0)
    total = math.fsum(kept)
    return _centre(gram, kept / total if total > 0.5 + 1e-9 else weights, spec)


def _without_echoes(gram: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by which updates that say the same share one say: wᵢ / Σ wⱼ·max(0, cos)², scaled to a sum of one.

    Honest updates are less alike than those of nodes that agree on a lie (Fung et al. 1808.04866). Where all are alike
    nothing changes. An update that changes nothing says nothing.
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

    Karimireddy et al. (2012.10333), from v = 0, where the last round ended, with the rows' weights in place of 1/n, a
    radius τ that follows the round's updates, and a cut at `FAR` radii. v is a sum Σ cᵢδᵢ at any time, so that all
    distances follow from the Gram matrix. The result is the weighted mean where no distance exceeds the radius.
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
    """The least distance within which more than half of the weight lies, times the clip factor.

    More than half, so that of two updates none is clipped; a hair more, so that rounding decides nothing.
    """
    order = np.argsort(distances, kind="stable")
    inside = 0.0
    for place in order:
        inside += float(weights[place])
        if inside > 0.5 + 1e-9:
            break
    return spec.clip_factor * float(distances[place])


def _clipped(distances: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """What is left of each distance: all of it up to the radius, the radius up to `FAR` radii, then nothing."""
    left = np.ones(len(distances))
    beyond = distances > radius
    left[beyond] = radius / distances[beyond]
    left[distances > FAR * radius] = 0.0
    return left


RULE = Rule("centered-clipping", "a mean that no update can pull further than a typical one", coefficients=coefficients)
