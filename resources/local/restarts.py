"""Restart what dies, ever more slowly for what dies again and again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from resources.local.child import Child

log = logging.getLogger("atlas.local_network")
FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0
STEADY_SECONDS = 60.0


@dataclass
class Kept:
    """A child, how to start it again, and when."""

    start: Callable[[], Child]
    child: Child
    started_at: float
    delay: float = FIRST_SECONDS
    due: float | None = None


class Keeper:
    """Watches children; `start` of a child that died is called again after a delay that doubles up to 30 s."""

    def __init__(self, children: dict[str, Kept], restarts: Callable[[str], bool]) -> None:
        self._children = children
        self._restarts = restarts

    def restart_the_dead(self, now: float) -> None:
        """Look at every child once; `now` is in seconds of a clock that never runs back."""
        for name, kept in self._children.items():
            if kept.child.running or not self._restarts(name):
                continue
            if kept.due is None:
                kept.delay = next_delay(kept.delay, now - kept.started_at)
                kept.due = now + kept.delay
                log.warning("%s ended; it starts again in %g s, see %s", name, kept.delay, kept.child.log)
            elif now >= kept.due:
                kept.child, kept.started_at, kept.due = kept.start(), now, None


def next_delay(last: float, lived: float) -> float:
    """Seconds to wait after a child that `lived` so long: twice the last wait, anew once it ran steadily."""
    return FIRST_SECONDS if lived >= STEADY_SECONDS else min(2 * last, MOST_SECONDS)
