"""What a running task reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """After a step: how far the task is, the step's mean loss, totals so far, and the step's speed."""

    step: int
    steps: int
    loss: float
    rows_seen: int
    tokens_seen: int
    tokens_per_second: float
