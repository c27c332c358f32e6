"""Children that die are started again, ever more slowly; those that should stay dead stay dead."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from resources.local.restarts import (
    FIRST_SECONDS,
    MOST_SECONDS,
    STEADY_SECONDS,
    RestartableChild,
    Restarter,
    next_delay,
)


class Process:
    """A child that runs until it is told otherwise."""

    log = "log"

    def __init__(self):
        self.running = True


def keeper(restarts=lambda name: True):
    started = []

    def start():
        started.append(Process())
        return started[-1]

    children = {"chain": RestartableChild(start, Process(), started_at=0.0)}
    return Restarter(children, restarts), children["chain"], started


def test_a_dead_child_starts_again_after_its_delay():
    watch, kept, started = keeper()
    watch.restart_ended(1.0)
    assert started == []
    kept.child.running = False
    watch.restart_ended(2.0)
    watch.restart_ended(2.5)
    assert started == []
    watch.restart_ended(3.1)
    assert kept.child is started[0]
    watch.restart_ended(10.0)
    assert len(started) == 1


def test_a_child_that_must_not_be_restarted_is_left_alone():
    watch, kept, started = keeper(lambda name: False)
    kept.child.running = False
    for now in range(1, 100):
        watch.restart_ended(float(now))
    assert started == []


@given(st.lists(st.floats(0, STEADY_SECONDS - 0.01), min_size=1, max_size=30))
def test_delays_double_up_to_a_bound(lives):
    delays = list(itertools.accumulate(lives, next_delay, initial=FIRST_SECONDS))
    assert all(second == min(2 * first, MOST_SECONDS) for first, second in itertools.pairwise(delays))
    assert next_delay(delays[-1], STEADY_SECONDS) == FIRST_SECONDS
