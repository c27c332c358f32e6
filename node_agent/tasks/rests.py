"""How long a task rests whose work was interrupted by this machine, such as by a full disk."""

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SECONDS, LONGEST_SECONDS = 10.0, 600.0


def rest_seconds(interruptions: int, chance: float) -> float:
    """Twice as long after each interruption; `chance`, from 0 to 1, takes off up to half, so that tasks and nodes that
    were interrupted together do not come back together.
    """
    longest = min(FIRST_SECONDS * 2.0 ** min(interruptions - 1, 30), LONGEST_SECONDS)
    return longest * (1 - chance / 2)


@dataclass(frozen=True)
class Rest:
    """A task that is left alone until a time, and what it was last interrupted by."""

    interruptions: int
    until: float
    reason: str


class Rests:
    """The tasks that rest. `clock` gives seconds, `chance` numbers from 0 to 1."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._rests: dict[str, Rest] = {}

    def interrupted(self, task: str, reason: str) -> float | None:
        """Let a task rest; for how many seconds, None when its reason is the one of last time and needs no word."""
        last = self._rests.get(task)
        count = last.interruptions + 1 if last else 1
        seconds = rest_seconds(count, self._chance())
        self._rests[task] = Rest(count, self._clock() + seconds, reason)
        return None if last is not None and last.reason == reason else seconds

    def rests(self, task: str) -> bool:
        """Whether a task is to be left alone now."""
        rest = self._rests.get(task)
        # A clock that was set back must not prolong a rest.
        return rest is not None and 0 < rest.until - self._clock() <= LONGEST_SECONDS

    def forget(self, task: str) -> None:
        """A task went on, or is gone."""
        self._rests.pop(task, None)
