"""Which places failed or sent wrong bytes: how long it is recorded, and by which process; missing copies on nodes."""

import logging
import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.places.health import DISTRUST_SECONDS, LONGEST_PAUSE_SECONDS, Copies, Health, pause_seconds
from atlas.errors import ContentError


@dataclass
class Place:
    name: str


OWN, OTHER, THIRD = Place("own"), Place("other"), Place("third")
PLACES = [OWN, OTHER, THIRD]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(tmp_path, clock):
    return Health(tmp_path / "places" / "health.sqlite", clock)


def test_places_are_asked_in_the_order_of_settings(health):
    assert health.order(PLACES) == health.available(PLACES) == PLACES


def test_a_failure_puts_a_place_last_until_its_pause_ends(health, clock):
    health.failed("own", "silent")
    assert health.order(PLACES) == [OTHER, THIRD, OWN]
    assert health.available(PLACES) == [OTHER, THIRD]
    clock.now += pause_seconds(1)
    assert health.order(PLACES) == health.available(PLACES) == PLACES


def test_the_pause_that_ends_soonest_is_tried_first(health, clock):
    health.failed("own", "silent")
    clock.now += pause_seconds(1)
    health.failed("own", "silent")
    health.failed("other", "silent")
    assert health.order(PLACES) == [THIRD, OTHER, OWN]


@given(failures=st.integers(min_value=1, max_value=10**6))
def test_a_pause_grows_and_ends(failures):
    assert 0 < pause_seconds(failures) <= pause_seconds(failures + 1) <= LONGEST_PAUSE_SECONDS


def test_repeated_failures_lengthen_the_pause_and_an_answer_ends_it(health, clock):
    for failures in (1, 2, 3):
        health.failed("own", "silent")
        assert health.available([OWN]) == []
        clock.now += pause_seconds(failures)
        assert health.available([OWN]) == [OWN]
    health.failed("own", "silent")
    health.answered("own")
    assert health.available([OWN]) == [OWN]
    health.failed("own", "silent")
    clock.now += pause_seconds(1)
    assert health.available([OWN]) == [OWN]


def test_a_liar_is_not_asked_for_a_day_whatever_else_it_answers(health, clock, caplog):
    with caplog.at_level(logging.ERROR):
        health.returned_wrong_bytes("other", "bafk… came with other bytes")
    assert "other sent wrong bytes" in caplog.text and "other bytes" in caplog.text
    health.answered("other")
    clock.now += DISTRUST_SECONDS - 1
    assert health.order(PLACES) == health.available(PLACES) == [OWN, THIRD]
    clock.now += 1
    assert health.order(PLACES) == PLACES


def test_a_restart_forgets_nothing_and_processes_share_what_they_know(tmp_path, clock):
    path = tmp_path / "health.sqlite"
    first, second = Health(path, clock), Health(path, clock)
    first.returned_wrong_bytes("own", "other bytes")
    second.failed("other", "silent")
    assert first.order(PLACES) == second.order(PLACES) == Health(path, clock).order(PLACES) == [THIRD, OTHER]


def test_without_a_file_it_remembers_for_itself(clock):
    health = Health(None, clock)
    health.returned_wrong_bytes("own", "other bytes")
    assert health.order(PLACES) == [OTHER, THIRD]
    assert Health(None, clock).order(PLACES) == PLACES


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "health.sqlite"
    path.write_bytes(b"this is no database, nor was it ever one" * 100)
    with pytest.raises(ContentError, match=str(path)):
        Health(path)


def test_failures_during_a_pause_do_not_lengthen_it(health, clock):
    health.failed("own", "silent")
    clock.now += pause_seconds(1) - 0.001
    health.failed("own", "silent")
    clock.now += 0.001
    assert health.available([OWN]) == [OWN]


def test_failures_of_many_threads_at_once_are_one(health, clock):
    threads = [threading.Thread(target=health.failed, args=("own", "silent")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += pause_seconds(1) - 0.001
    assert health.available([OWN]) == []
    clock.now += 0.001
    assert health.available([OWN]) == [OWN]


def test_what_is_owed_is_remembered_until_it_is_made(tmp_path):
    path = tmp_path / "copies.sqlite"
    Copies(path).owe(["a", "b", "c"])
    Copies(path).settle(["b"])
    assert Copies(path).short() == ["a", "c"]
    Copies(path).owe(["a"])
    assert Copies(path).short(most=1) == ["a"]


def test_copies_are_let_go_where_they_were_made_and_only_there(tmp_path):
    copies = Copies(tmp_path / "copies.sqlite")
    copies.note(["a", "b"], "own")
    copies.let_go("a", ["own", "other"])
    assert copies.unwanted() == [("a", "own")]
    copies.gone("a", "own")
    assert copies.unwanted() == []


def test_a_copy_that_is_wanted_again_is_not_let_go(tmp_path):
    copies = Copies(tmp_path / "copies.sqlite")
    copies.note(["a"], "own")
    copies.let_go("a", ["own"])
    copies.note(["a"], "own")
    assert copies.unwanted() == []
    copies.gone("a", "own")
    copies.let_go("a", ["own"])
    assert copies.unwanted() == [("a", "own")]
