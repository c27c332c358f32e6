"""The progress report of a running task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The state after a step: the step's number, its mean loss, the totals so far, and its speed.

    The loss is None if no row of the step had anything to predict.
    """

    step: int
    steps: int
    loss: float | None
    rows_seen: int
    tokens_seen: int
    tokens_per_second: float
