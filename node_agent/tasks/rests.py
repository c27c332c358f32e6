"""Back-off of tasks that this machine interrupted, for example by a full disk."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from atlas.ids import Cid

FIRST_SECONDS, LONGEST_SECONDS = 10.0, 600.0


def rest_seconds(interruptions: int, chance: float) -> float:
    """The seconds of back-off, which double with each interruption.

    `chance`, from 0 to 1, takes off up to half, so that tasks and nodes that were interrupted together do not resume
    together.
    """
    longest = min(FIRST_SECONDS * 2.0 ** min(interruptions - 1, 30), LONGEST_SECONDS)
    return longest * (1 - chance / 2)


@dataclass(frozen=True)
class Rest:
    """The back-off of a task until a time, and the reason of its last interruption."""

    interruptions: int
    until: float
    reason: str


class Rests:
    """The tasks that are backing off. `clock` gives seconds, `chance` numbers from 0 to 1."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._rests: dict[Cid, Rest] = {}

    def interrupted(self, task: Cid, reason: str) -> float | None:
        """Start a task's back-off; return its seconds, or None if the reason is unchanged and need not be logged."""
        last = self._rests.get(task)
        count = last.interruptions + 1 if last else 1
        seconds = rest_seconds(count, self._chance())
        self._rests[task] = Rest(count, self._clock() + seconds, reason)
        return None if last is not None and last.reason == reason else seconds

    def rests(self, task: Cid) -> bool:
        """Whether a task is backing off now."""
        rest = self._rests.get(task)
        # A clock that was set back must not prolong a back-off.
        return rest is not None and 0 < rest.until - self._clock() <= LONGEST_SECONDS

    def forget(self, task: Cid) -> None:
        """End a task's back-off, because it has continued or is gone."""
        self._rests.pop(task, None)
