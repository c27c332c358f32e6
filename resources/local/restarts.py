"""Restart crashed processes with exponential back-off."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from resources.local.child import Child

log = logging.getLogger("atlas.local_network")
FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0
STEADY_SECONDS = 60.0


@dataclass
class RestartableChild:
    """A child process, the function that starts it again, and the time of its next start."""

    start: Callable[[], Child]
    child: Child
    started_at: float
    delay: float = FIRST_SECONDS
    due: float | None = None


class Restarter:
    """Restarts children that died, after a delay that doubles up to 30 s."""

    def __init__(self, children: dict[str, RestartableChild], restarts: Callable[[str], bool]) -> None:
        self._children = children
        self._restarts = restarts

    def restart_ended(self, now: float) -> None:
        """Check every child once; `now` is in seconds of a monotonic clock."""
        for name, kept in self._children.items():
            if kept.child.running or not self._restarts(name):
                continue
            if kept.due is None:
                kept.delay = next_delay(kept.delay, now - kept.started_at)
                kept.due = now + kept.delay
                log.warning("%s ended and is restarted in %g s; see %s", name, kept.delay, kept.child.log)
            elif now >= kept.due:
                kept.child, kept.started_at, kept.due = kept.start(), now, None


def next_delay(last: float, lived: float) -> float:
    """Seconds to wait before a restart: twice the last delay, or the first delay after a long enough run.

    `lived` is how long the child ran; `STEADY_SECONDS` are long enough.
    """
    return FIRST_SECONDS if lived >= STEADY_SECONDS else min(2 * last, MOST_SECONDS)
