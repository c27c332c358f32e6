"""How far training moves an adapter: at most, a bound that no run of the spec's steps exceeds, and usually."""

import math
from collections.abc import Sequence
from functools import lru_cache

from atlas.spec.job import TrainingSpec
from atlas.training.schedules import learning_rate

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999
"""AdamW's β₁ and β₂, as torch has them by default and the trainer leaves them."""
GROWTH = 2.0
"""How much farther than steps of their rate the `usual_reach` is: √3, and a bit to spare."""
ROUNDING = 2.0**-23
"""Relative error of one float32 operation, with a bit to spare."""
SLACK = 1.01
"""For the rounding of the moments themselves; the bound is met exactly by no gradient that lasts a few steps."""


def farthest(training: TrainingSpec, numbers: int, base: float) -> float:
    """The largest ‖δ‖ of an update that trains so many numbers, from an adapter of length `base`.

    A step of AdamW moves each number by at most its rate times |m̂|/√v̂, and decays it by rate · weight_decay. By
    Cauchy and Schwarz over the gradients that the two moments weigh,

        |m̂ₜ|/√v̂ₜ ≤ (1-β₁)/(1-β₁ᵗ) · √((1-β₂ᵗ)/(1-β₂)) · √(Σₖ₍ₖ<t₎ (β₁²/β₂)ᵏ),

    which is 1 in the first step and 7.3 after thousands; Kingma and Ba (1412.6980, section 2.1) give the same kind of
    bound for constant gradients. Gradients enter nowhere, and so neither do the rows, the model, clipping, the proximal
    pull or the precision. The result may be infinite.
    """
    return _length(training, _per_number(training), numbers, base)


def usual_reach(training: TrainingSpec, numbers: int, base: float) -> float:
    """The ‖δ‖ that honest training does not exceed unless its gradients keep growing fast; never above `farthest`.

    Gradients of one size and direction move each number by its rate in each step (Kingma and Ba 1412.6980, section
    2.1); real ones turn, and get a part of that. Gradients that grow in proportion to the steps, as those of a LoRA
    factor do while the other one leaves zero, get √3 of it at most.
    """
    most = [min(GROWTH * rate, most) for rate, most in zip(_rates(training), _per_number(training), strict=True)]
    return _length(training, most, numbers, base)


def _length(training: TrainingSpec, per_step: Sequence[float], numbers: int, base: float) -> float:
    moved = 0.0
    root = math.sqrt(numbers)
    for rate, most in zip(_rates(training), per_step, strict=True):
        reached = base + moved
        moved += root * most + rate * training.weight_decay * reached + ROUNDING * reached
    return SLACK * moved


@lru_cache(maxsize=8)
def _rates(training: TrainingSpec) -> list[float]:
    return [learning_rate(step, training) for step in range(training.steps)]


@lru_cache(maxsize=8)
def _per_number(training: TrainingSpec) -> list[float]:
    """For each step the most that it moves one number."""
    found = []
    ratio = FIRST_DECAY**2 / SECOND_DECAY
    for count, rate in enumerate(_rates(training), start=1):
        first = (1 - FIRST_DECAY) / (1 - FIRST_DECAY**count)
        second = math.sqrt((1 - SECOND_DECAY**count) / (1 - SECOND_DECAY))
        found.append(rate * first * second * math.sqrt((1 - ratio**count) / (1 - ratio)))
    return found
