"""Whether a round's checkpoint is worse than the one that it started from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from atlas.documents.metric_names import CHANGE_ERROR

CERTAIN = 2.0
"""A fall of more standard errors than this fails; by chance alone, one in 44 evaluations has such a fall."""


@dataclass(frozen=True)
class Decline:
    """A metric that became worse. `error` is the standard error of the change; None if the evaluation has none."""

    name: str
    before: float
    after: float
    error: float | None
    failed: bool

    def __str__(self) -> str:
        error = "" if self.error is None else f", standard error {self.error:.4f}"
        return f"{self.name} {self.before:.4f} -> {self.after:.4f}{error}"


@dataclass(frozen=True)
class Verdict:
    """A comparison of two checkpoints on the same rows."""

    declines: tuple[Decline, ...]

    @property
    def worse(self) -> str:
        """The values that became worse, before and after, such as `accuracy 0.81 -> 0.79`; empty if none did."""
        return ", ".join(map(str, self.declines))

    @property
    def failed(self) -> bool:
        """Whether a value became worse by more than chance explains."""
        return any(decline.failed for decline in self.declines)

    @property
    def sentence(self) -> str | None:
        """What became worse and what to do; None if nothing did."""
        if not self.declines:
            return None
        if self.failed:
            return f"Worse than its base: {self.worse}. Use fewer steps or a lower learning rate, or check the data."
        return f"Worse than its base, but not by more than chance explains: {self.worse}. Watch the next round."


def compare(base: Mapping[str, float], checkpoint: Mapping[str, float], tolerance: float) -> Verdict:
    """Compare the metrics of a checkpoint with its base's: accuracy where there is one, and the loss.

    A decline fails if it exceeds two standard errors, of the loss also only if it exceeds `tolerance` times its size.
    Without a standard error a decline of the loss fails by the tolerance alone, and one of the accuracy warns. A
    classifier's loss may rise within the tolerance without a warning.
    """
    declines = []
    if "accuracy" in base and "accuracy" in checkpoint:
        before, after = base["accuracy"], checkpoint["accuracy"]
        error = checkpoint.get(f"accuracy{CHANGE_ERROR}")
        if not after >= before:
            failed = error is not None and beyond(before - after, error)
            declines.append(Decline("accuracy", before, after, error, failed))
    before, after = base["loss"], checkpoint["loss"]
    if not no_worse(before, after, tolerance if "accuracy" in base else 0.0):
        error = checkpoint.get(f"loss{CHANGE_ERROR}")
        failed = not no_worse(before, after, tolerance) and (error is None or beyond(after - before, error))
        declines.append(Decline("loss", before, after, error, failed))
    return Verdict(tuple(declines))


def beyond(fall: float, error: float) -> bool:
    """Whether a fall exceeds two standard errors; True if it is not finite."""
    return not fall <= CERTAIN * error


def main_metric(*measured: Mapping[str, float]) -> str:
    """The main metric of these evaluations of one task: accuracy where all have it, otherwise the loss."""
    return "accuracy" if measured and all("accuracy" in one for one in measured) else "loss"


def no_worse(before: float, after: float, tolerance: float) -> bool:
    """Whether `after` exceeds `before` by at most `tolerance` times its size; False if `after` is not finite."""
    return math.isfinite(after) and after <= before + tolerance * abs(before)
