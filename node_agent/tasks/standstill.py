"""Detects work that makes no progress: its count of signs of progress has not changed for too long."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from node_agent.errors import NoProgress

Result = TypeVar("Result")
LOOKS_PER_LIMIT = 10
LONGEST_LOOK = 1 / 4
"""The longest time that can be counted between two checks, as a share of the limit."""


@dataclass
class Standstill:
    """Detects, by checks at given times, that a count has not changed for `limit` seconds.

    The time between two checks counts for a quarter of the limit at most. After a longer pause the checking process
    itself was stopped, or its machine slept: the work may have been stopped too, or its signs are still unread.
    """

    limit: float
    count: int = 0
    still_seconds: float = 0.0
    looked_at: float | None = None

    def look(self, count: int, now: float) -> bool:
        """Check the count; True once it has not changed for `limit` seconds.

        `now` is in seconds of any clock, which may jump or run back.
        """
        passed = 0.0 if self.looked_at is None else now - self.looked_at
        self.looked_at = now
        if count != self.count:
            self.count, self.still_seconds = count, 0.0
        else:
            self.still_seconds += min(max(passed, 0.0), self.limit * LONGEST_LOOK)
        return self.still_seconds >= self.limit


async def unless_still(
    work: Coroutine[Any, Any, Result],
    count: Callable[[], int],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """The result of `work`; it is cancelled, and `NoProgress` raised, once `count` has not changed for `seconds`."""
    working = asyncio.create_task(work)
    standstill = Standstill(seconds, count())
    try:
        while not working.done():
            if standstill.look(count(), clock()):
                raise NoProgress(f"made no progress for {seconds:g} s")
            await asyncio.wait([working], timeout=seconds / LOOKS_PER_LIMIT)
        return working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
