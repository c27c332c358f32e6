"""Clocks that are wrong, and messages that are merely late."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.wire.clock_watch import PATIENCE_SECONDS, ClockWatch


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_clock_that_is_75_seconds_ahead_is_told_at_once_with_both_times() -> None:
    clock = Clock()
    watch = ClockWatch(clock)
    watch.note("atlas1node", clock.now + 75)
    told = watch.problem("atlas1node")
    assert told is not None
    for part in ("1970-01-12 13:46:40 UTC", "that of atlas1node 1970-01-12 13:47:55 UTC", "75 s apart", "60 s"):
        assert part in told
    assert watch.problem("atlas1other") is None


def test_a_clock_that_is_75_seconds_behind_is_told_once_late_messages_would_have_ended() -> None:
    clock = Clock()
    watch = ClockWatch(clock)
    watch.note("node", clock.now - 75)
    assert watch.problem("node") is None
    clock.now += PATIENCE_SECONDS
    watch.note("node", clock.now - 75)
    assert "75 s apart" in str(watch.problem("node"))


def test_a_message_in_time_clears_its_sender() -> None:
    clock = Clock()
    watch = ClockWatch(clock)
    watch.note("node", clock.now + 75)
    watch.note("node", clock.now)
    clock.now += 1000
    assert watch.problem("node") is None


@given(st.floats(-60, 60), st.floats(0, 1e6))
def test_a_clock_within_the_limit_is_never_blamed(offset: float, later: float) -> None:
    clock = Clock()
    watch = ClockWatch(clock)
    watch.note("node", clock.now + offset)
    clock.now += later
    assert watch.problem("node") is None
