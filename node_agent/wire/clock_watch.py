"""Distinguishes a sender whose clock is wrong from one whose messages were merely late."""

from collections.abc import Callable

from atlas.clocks import MOST_SECONDS, describe_difference

PATIENCE_SECONDS = 20.0
"""Delayed messages arrive together; messages with a wrong time keep arriving."""


class ClockWatch:
    """Records for each sender since when all of its messages have a time that is refused.

    `clock` gives unix seconds. Only senders with valid signatures are recorded, so nobody can be blamed by another.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused: dict[str, tuple[float, float]] = {}

    def note(self, sender: str, sent: float) -> None:
        """Record the time of a message."""
        now = self._clock()
        if abs(now - sent) <= MOST_SECONDS:
            self._refused.pop(sender, None)
        else:
            since, _ = self._refused.get(sender, (now, 0.0))
            self._refused[sender] = since, now - sent

    def problem(self, sender: str) -> str | None:
        """How the sender's clock differs from ours, in sentences; None if no difference is known."""
        now = self._clock()
        since, ahead = self._refused.get(sender, (now, 0.0))
        # A message from the future cannot have been delayed.
        if ahead < 0 or now - since >= PATIENCE_SECONDS:
            return describe_difference(now, now - ahead, f"that of {sender}") if ahead else None
        return None
