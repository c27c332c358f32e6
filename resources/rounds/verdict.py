"""Whether a round's checkpoint is worse than the one that it started from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

HIGHER_IS_BETTER = ("accuracy",)
"""The main metric of a task is the first of these that its evaluation has; else the loss."""


@dataclass(frozen=True)
class Verdict:
    """A comparison of two checkpoints on the same rows."""

    worse: str
    """The values that became worse, before and after, such as `accuracy 0.81 -> 0.79`; empty if none did."""
    within_tolerance: bool
    """Whether the loss is no worse than the base's, within the job's tolerance."""


def compare(base: Mapping[str, float], checkpoint: Mapping[str, float], tolerance: float) -> Verdict:
    """Compare the metrics of a checkpoint with its base's: the main metric, and the loss within `tolerance`.

    The main metric is the accuracy of a classifier, and the loss (and so the perplexity) of a language model; the main
    metric must not decline at all.
    """
    within = no_worse(base["loss"], checkpoint["loss"], tolerance)
    main = next((name for name in HIGHER_IS_BETTER if name in base and name in checkpoint), None)
    declined = [] if within and (main or no_worse(base["loss"], checkpoint["loss"], 0.0)) else ["loss"]
    if main is not None and not checkpoint[main] >= base[main]:
        declined.insert(0, main)
    return Verdict(", ".join(f"{name} {base[name]:.4f} -> {checkpoint[name]:.4f}" for name in declined), within)


def no_worse(before: float, after: float, tolerance: float) -> bool:
    """Whether `after` exceeds `before` by at most `tolerance` times its size; False if `after` is not finite."""
    return math.isfinite(after) and after <= before + tolerance * abs(before)
