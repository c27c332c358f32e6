"""Learning-rate schedules."""

import math

from atlas.spec.job import TrainingSpec


def learning_rate(step: int, training: TrainingSpec) -> float:
    """The rate of an optimizer step, counted from 0.

    Warm-up rises over `warmup_steps` towards the full rate and starts above zero, so that no step is wasted. After
    warm-up, the rate stays (`constant`), or falls to zero at `steps`: linearly (`linear`) or as half a cosine
    (`cosine`).
    """
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / (training.warmup_steps + 1)
    if training.schedule == "constant":
        return training.learning_rate
    progress = (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps)
    if training.schedule == "linear":
        return training.learning_rate * (1.0 - progress)
    return training.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
