"""What a running task reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """After a step: how far the task is, the step's mean loss, totals so far, and the step's speed.

    The loss is None where no row of the step had anything to predict.
    """

    step: int
    steps: int
    loss: float | None
    rows_seen: int
    tokens_seen: int
    tokens_per_second: float
