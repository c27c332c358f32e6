"""Spectral filter: the mean, unless few updates could have turned it; then what spreads it most counts less."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.linear_algebra import principal_direction
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec

LONGEST = 2.0
"""Length to which longer changes are cut, in medians. Changes of nodes with unlike data differ by less."""
LARGEST_SHIFT = 0.6
"""Square of the distance from the mean to the honest mean that is allowed, in squares of the mean: √0.6 of its length
keeps the cosine of the two above √(1 - 0.6) = 0.63."""
LARGEST_SHIFT_BY_HONEST = 0.2
"""The same, where updates are left out that may be honest: the honest mean then lies up to as far off on their side."""
RATE = 0.1
"""What the update that strays most loses of its weight in one pass. With large passes one of two groups on opposite
sides goes first, and chance decides which; with small ones both lose alike and cancel each other out."""
PASSES = 200
LEAST_ODDS = 0.15
"""False weight, in honest weights, that is always reckoned with, however much has been removed already."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How updates of some weights lie about their mean."""

    shares: Vector
    """(N,) the weights, scaled to a sum of one."""
    products: Vector
    """(N,) ⟨δᵢ, mean⟩."""
    square: float
    """‖mean‖²."""
    largest: float
    """Largest eigenvalue of the covariance: the variance along the direction that varies most."""
    along: Vector
    """(N,) distance of each update from the mean along that direction."""

    @property
    def unlikeness(self) -> float:
        """The largest variance in squares of the mean's length."""
        return self.largest / self.square if self.square > 0 else math.inf

    def certified(self, odds: float, shift: float = LARGEST_SHIFT) -> bool:
        """Whether false updates with `odds` times the weight of the honest ones have moved the mean by `shift` at most.

        Whatever they are, the mean of the others is at most √(odds · largest) away (resilience, Steinhardt et al.
        1703.04940, lemma 2).
        """
        return odds * self.largest <= shift * self.square


def coefficients(geometry: Geometry, spec: RobustSpec) -> Vector:
    """Coefficients of the mean of changes of limited length, by weights that are filtered until they are certified.

    While the mean is not certified, updates lose weight by the square of their distance from it along the direction of
    the largest variance (Diakonikolas et al. 1604.06443): there false updates lie farther out than honest ones, who
    are more. If twice the tolerated weight is gone and the rest is not certified, the weights with the least
    unlikeness so far are taken. In the end updates that point away from the result, or change nothing, are left out,
    if the rest is so alike that it would be certified had they all been honest.
    """
    weights = geometry.weights
    if len(weights) < 3:
        return weights  # nothing tells which of two is false
    cut = _cut(geometry.gram, weights)
    gram = geometry.gram * cut[:, None] * cut
    false = _false_weight(weights, spec)
    filtered = _filtered(gram, weights, false)
    return cut * _aligned(gram, filtered, false).shares


def _filtered(gram: Vector, weights: Vector, false: float) -> Vector:
    """(N,) weights whose mean is certified, or else those with the least unlikeness that were met."""
    best, least = weights, math.inf
    for _ in range(PASSES):
        spread = _spread(gram, weights)
        removed = 1 - math.fsum(weights)
        if spread.certified(_odds(false, removed)):
            return weights
        if spread.unlikeness < least:
            best, least = weights, spread.unlikeness
        if removed >= 2 * false:
            break
        strays = np.where(weights > 0, spread.along**2, 0.0)
        weights = weights * (1 - RATE * strays / strays.max())
    return best


def _odds(false: float, removed: float) -> float:
    """False weight that may be left, in honest weights, when half of what was removed was false."""
    return max((false - removed / 2) / (1 - false - removed / 2), LEAST_ODDS)


def _aligned(gram: Vector, weights: Vector, false: float) -> Spread:
    """The spread without what points away from the mean, if it is certified even were all that is removed honest."""
    spread = _spread(gram, weights)
    along = np.where(spread.products > 0, weights, 0.0)
    honest = math.fsum(along) - false
    if honest > 1e-9:
        rest = _spread(gram, along)
        if rest.certified(false / honest, LARGEST_SHIFT_BY_HONEST):
            return rest
    return spread


def _spread(gram: Vector, weights: Vector) -> Spread:
    shares = weights / math.fsum(weights)
    products = np.asarray((gram * shares[:, None]).sum(axis=0))
    square = max(math.fsum(products * shares), 0.0)
    centred = gram - products[:, None] - products + square
    roots = np.sqrt(shares)
    largest, direction = principal_direction(centred * roots[:, None] * roots)
    along = (centred * (roots * direction)[:, None]).sum(axis=0)
    return Spread(shares, products, square, largest, along)


def _cut(gram: Vector, weights: Vector) -> Vector:
    """(N,) what is left of each change when its length is at most `LONGEST` medians; the median is by weight."""
    lengths = np.sqrt(gram.diagonal())
    order = np.argsort(lengths, kind="stable")
    inside = np.cumsum(weights[order])
    limit = LONGEST * float(lengths[order[int(np.searchsorted(inside, 0.5 + 1e-9))]])
    left = np.ones(len(lengths))
    beyond = lengths > limit
    left[beyond] = limit / lengths[beyond]
    return left


def _false_weight(weights: Vector, spec: RobustSpec) -> float:
    """The most that as many updates as the settings tolerate, and at least one, can weigh."""
    heaviest = max(1, spec.false_among(len(weights)))
    return math.fsum(np.sort(weights)[-heaviest:])


RULE = Rule("spectral-filter", "a mean that no tolerated share of updates can turn", coefficients=coefficients)
