"""When work counts as standing still, whatever the clock does."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.errors import NoProgress
from node_agent.tasks.standstill import Standstill, unless_still

LIMIT = 100.0
JUMPS = st.floats(min_value=-1e9, max_value=1e9)


def looks(standstill: Standstill, times: list[float], counts: list[int]) -> list[bool]:
    return [standstill.look(count, now) for now, count in zip(times, counts, strict=True)]


@given(st.lists(JUMPS, max_size=50))
def test_a_count_that_moves_between_any_two_looks_never_stands_still(times: list[float]) -> None:
    assert not any(looks(Standstill(LIMIT), times, list(range(1, len(times) + 1))))


@given(st.lists(JUMPS, max_size=4))
def test_four_looks_never_suffice_however_the_clock_jumps(times: list[float]) -> None:
    assert not any(looks(Standstill(LIMIT), times, [0] * len(times)))


@given(st.integers(min_value=1, max_value=25), st.integers(min_value=0, max_value=30))
def test_it_is_noticed_with_the_first_look_at_or_after_the_limit(step: int, moves: int) -> None:
    standstill = Standstill(LIMIT)
    times = [float(step * look) for look in range(moves + 200)]
    found = looks(standstill, times, [*range(1, moves + 1), *[moves] * 200])
    last_move = times[max(moves - 1, 0)]
    assert times[found.index(True)] == next(time for time in times if time >= last_move + LIMIT)


@given(st.lists(JUMPS, min_size=1, max_size=50), st.data())
def test_a_clock_that_runs_back_adds_nothing(times: list[float], data: st.DataObject) -> None:
    standstill = Standstill(LIMIT)
    looks(standstill, sorted(times, reverse=True), [0] * len(times))
    assert standstill.still_seconds == 0


async def test_work_that_advances_is_left_alone_and_gives_its_result() -> None:
    count = 0

    async def work() -> str:
        nonlocal count
        for _ in range(30):
            await asyncio.sleep(0.01)
            count += 1
        return "done"

    now = iter(range(10_000))
    assert await unless_still(work(), lambda: count, 1e6, lambda: next(now)) == "done"


async def test_work_that_stands_still_is_cancelled_and_its_end_awaited() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    now = iter(range(0, 10_000, 10))
    with pytest.raises(NoProgress, match=r"made no progress for 0\.05 s"):
        await unless_still(work(), lambda: 0, 0.05, lambda: next(now))
    assert ended == ["cleaned up"]


async def test_an_error_of_the_work_is_its_own() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await unless_still(work(), lambda: 0, 60)


async def test_whoever_waits_can_be_cancelled_and_takes_the_work_along() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(True)

    waiting = asyncio.create_task(unless_still(work(), lambda: 0, 600))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == [True]
