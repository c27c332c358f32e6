"""How far training can move an adapter: a bound that no run of the spec's steps exceeds, whatever its rows."""

import math
from functools import lru_cache

from atlas.spec import TrainingSpec
from atlas.training.schedules import learning_rate

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999
"""AdamW's β₁ and β₂, as torch has them by default and the trainer leaves them."""
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
    moved = 0.0
    per_step = _per_number(training)
    root = math.sqrt(numbers)
    for rate, most in per_step:
        reached = base + moved
        moved += root * most + rate * training.weight_decay * reached + ROUNDING * reached
    return SLACK * moved


@lru_cache(maxsize=8)
def _per_number(training: TrainingSpec) -> list[tuple[float, float]]:
    """For each step its rate and the most that it moves one number."""
    found = []
    ratio = FIRST_DECAY**2 / SECOND_DECAY
    for step in range(training.steps):
        rate, count = learning_rate(step, training), step + 1
        first = (1 - FIRST_DECAY) / (1 - FIRST_DECAY**count)
        second = math.sqrt((1 - SECOND_DECAY**count) / (1 - SECOND_DECAY))
        found.append((rate, rate * first * second * math.sqrt((1 - ratio**count) / (1 - ratio))))
    return found
