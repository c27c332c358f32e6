import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator

import pytest

from assets.fleet_run.background import iterate_in_background


def test_items_come_in_order_and_from_another_thread():
    async def count(tell) -> AsyncIterator[tuple[int, int]]:
        for number in range(50):
            await asyncio.sleep(0)
            yield number, threading.get_ident()

    found = list(iterate_in_background(count))
    assert [number for number, _ in found] == list(range(50))
    assert {thread for _, thread in found}.isdisjoint({threading.get_ident()})


def test_what_callbacks_tell_comes_in_between():
    async def work(tell) -> AsyncIterator[str]:
        tell("begun")
        yield "item"
        tell("nearly done")

    assert list(iterate_in_background(work)) == ["begun", "item", "nearly done"]


def test_an_error_arrives_after_the_items_before_it():
    async def work(tell) -> AsyncIterator[int]:
        yield 1
        raise LookupError("gone")

    found = iterate_in_background(work)
    assert next(found) == 1
    with pytest.raises(LookupError, match="gone"):
        next(found)


def forever(log: list[str]):
    async def work(tell) -> AsyncIterator[str]:
        try:
            yield "running"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    return work


def test_closing_early_awaits_the_clean_up():
    log: list[str] = []
    found = iterate_in_background(forever(log))
    assert next(found) == "running"
    found.close()
    assert log == ["cleaned up"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_waiting_step_and_not_the_loop(number):
    class Interrupted(BaseException):
        """As Dagster's own: asyncio would file it under whatever task was running."""

    def interrupt(signum, frame):
        raise Interrupted

    before = signal.signal(number, interrupt)
    log: list[str] = []
    try:
        with pytest.raises(Interrupted):
            for _ in iterate_in_background(forever(log)):
                threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    finally:
        signal.signal(number, before)
    assert log == ["cleaned up"]
    assert not [thread for thread in threading.enumerate() if thread.name == "atlas-fleet"]
