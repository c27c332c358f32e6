"""Back-off while the chain does not answer, and the time to give up."""

import logging

from chain_bridge.errors import ChainUnreachable

log = logging.getLogger(__name__)


class Outage:
    """Counts consecutive failures. Pauses double from `first` to `longest`; after `patience` the error is raised.

    All times are in seconds; the caller chooses the clock.
    """

    def __init__(self, first: float, longest: float, patience: float) -> None:
        self._first, self._longest, self._patience = first, longest, patience
        self._began: float | None = None
        self._pause = first
        self._next = float("-inf")

    def over(self) -> None:
        """End the outage, because the chain has answered."""
        if self._began is not None:
            log.info("the chain answers again")
        self._began, self._pause, self._next = None, self._first, float("-inf")

    def may_ask(self, now: float) -> bool:
        """Whether the pause after the newest failure has passed."""
        return now >= self._next

    def endure(self, error: ChainUnreachable, now: float) -> None:
        """Note a failure; raise it once the outage has lasted longer than the patience."""
        if self._began is None:
            self._began = now
            log.warning("the chain does not answer; running tasks continue: %s", error)
        if now - self._began > self._patience:
            raise error
        self._next = now + self._pause
        self._pause = min(2 * self._pause, self._longest)
