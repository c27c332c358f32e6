"""Spectral filter: the mean, with less weight for outliers if a few updates could have changed its direction."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.linear_algebra import principal_direction
from atlas.aggregation.robust.rule import Geometry, Rule
from atlas.aggregation.robust.settings import RobustSpec

LONGEST = 2.0
"""Length to which longer changes are cut, in medians. Different data alone varies the lengths by less."""
LARGEST_SHIFT = 0.6
"""The largest allowed square of the distance between the mean and the honest mean, in squares of the mean's length: at
√0.6 of its length, the cosine of the two stays above √(1 - 0.6) = 0.63."""
LARGEST_SHIFT_BY_HONEST = 0.2
"""The same when updates that may be honest are left out: the honest mean may then be shifted as far towards them."""
RATE = 0.1
"""The share of its weight that the farthest update loses in one pass. With a large share, one of two opposite groups is
removed first, and which one depends on chance. With a small share, both lose equally and cancel out."""
DISAGREEMENT = -0.1
"""The median cosine with the others below which an update disagrees with most of them, in multiples of what is typical.
An update of data that has nothing in common with most others is at zero, give or take its noise."""
PASSES = 200
LEAST_ODDS = 0.15
"""The smallest assumed ratio of false to honest weight, regardless of how much weight has been removed."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """The distribution of weighted updates about their mean."""

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

        For any false updates, the mean of the others is at most √(odds · largest) away (resilience, Steinhardt et al.
        1703.04940, lemma 2).
        """
        return odds * self.largest <= shift * self.square


def coefficients(geometry: Geometry, spec: RobustSpec) -> Vector:
    """Coefficients of the mean of length-limited changes, with weights filtered until the mean is certified.

    Updates that disagree with most others are left out if they hold no more than the tolerated weight and the rest is
    alike enough. Otherwise, while the mean is not certified, updates lose weight by the square of their distance from
    it along the direction of the largest variance (Diakonikolas et al. 1604.06443): there the false updates are farther
    out than the more numerous honest ones. If twice the tolerated weight has been removed and the rest is not
    certified, the weights with the least unlikeness so far are used. Finally, updates with no positive inner product
    with the result are left out, if the rest would be certified even if all of them were honest.
    """
    weights = geometry.weights
    if len(weights) < 3:
        return weights  # with two updates, the false one cannot be identified
    cut = _cut(geometry.gram, weights)
    gram = geometry.gram * cut[:, None] * cut
    false = _false_weight(weights, spec)
    agreeing = _agreeing(gram, weights, false)
    if agreeing is not None:
        return cut * agreeing / math.fsum(agreeing)
    filtered = _filtered(gram, weights, false)
    return cut * _aligned(gram, filtered, false).shares


def _agreeing(gram: Vector, weights: Vector, false: float) -> Vector | None:
    """(N,) weights without the updates that disagree with most others, such as those trained on flipped labels.

    None if there are none, if they hold more than the tolerated weight, or if the rest would not be certified even if
    all that are left out were honest.
    """
    lengths = np.sqrt(gram.diagonal())
    lengths = np.where(lengths > 0, lengths, 1.0)
    cosines = gram / lengths[:, None] / lengths
    places = np.arange(len(weights))
    agreement = np.array([_median(cosines[one, places != one], weights[places != one]) for one in places])
    typical = _median(agreement, weights)
    against = (typical > 0) & (agreement < DISAGREEMENT * typical)
    left_out = math.fsum(weights[against])
    honest = 1 - left_out - false
    if left_out == 0 or left_out > false + 1e-9 or honest <= 1e-9:
        return None
    rest = np.where(against, 0.0, weights)
    return rest if _spread(gram, rest).certified(false / honest, LARGEST_SHIFT_BY_HONEST) else None


def _filtered(gram: Vector, weights: Vector, false: float) -> Vector:
    """(N,) weights whose mean is certified, or else the weights with the least unlikeness found."""
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
    """The ratio of remaining false to honest weight, if half of the removed weight was false."""
    return max((false - removed / 2) / (1 - false - removed / 2), LEAST_ODDS)


def _aligned(gram: Vector, weights: Vector, false: float) -> Spread:
    """The spread without updates that point away from the mean, if it is certified even if all of these were honest."""
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
    """(N,) the factor that limits each change to `LONGEST` weighted medians of the lengths."""
    lengths = np.sqrt(gram.diagonal())
    limit = LONGEST * _median(lengths, weights)
    left = np.ones(len(lengths))
    beyond = lengths > limit
    left[beyond] = limit / lengths[beyond]
    return left


def _median(values: Vector, weights: Vector) -> float:
    """The weighted median: the smallest value with more than half of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    inside = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(inside, inside[-1] / 2 + 1e-9))]])


def _false_weight(weights: Vector, spec: RobustSpec) -> float:
    """The largest possible weight of the tolerated number of false updates, which is at least one."""
    heaviest = max(1, spec.false_among(len(weights)))
    return math.fsum(np.sort(weights)[-heaviest:])


RULE = Rule("spectral-filter", "a mean that the tolerated share of updates cannot turn far", coefficients=coefficients)
