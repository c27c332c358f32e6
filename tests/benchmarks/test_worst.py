import numpy as np
import pytest

from benchmarks.aggregation.worst.climb import cost, worst
from benchmarks.aggregation.worst.rules import gates_pass
from benchmarks.aggregation.worst.scenes import DIMENSION, SCENES, unlikeness

ALIKE_ENOUGH = ["like", "own-2", "two", "near-share", "ten", "three", "four", "heavy"]
"""Scenes with an unlikeness of up to 1.2."""


def test_a_search_is_the_same_every_time():
    one, other = (worst("spectral-filter", SCENES["ten"], 3, restarts=1, steps=5) for _ in range(2))
    assert one.cosine == other.cosine
    np.testing.assert_array_equal(one.changes, other.changes)


def test_what_is_found_passes_the_gates_and_keeps_the_honest_updates():
    find = worst("none", SCENES["two"], 1, restarts=1, steps=10)
    assert gates_pass(find.changes)
    np.testing.assert_array_equal(find.changes[:14], find.honest)
    assert 14 < len(find.changes) <= 20


def test_the_search_turns_the_plain_mean_and_multi_krum_around():
    assert worst("none", SCENES["like"], 1, restarts=1, steps=10).cosine < 0
    assert worst("multi-krum", SCENES["three"], 1, restarts=2, steps=60).cosine < 0.3


@pytest.mark.parametrize("scene", ALIKE_ENOUGH)
def test_a_short_search_does_not_turn_the_default_by_more_than_60_degrees(scene):
    assert worst("spectral-filter", SCENES[scene], 1, restarts=1, steps=15).cosine > 0.5


@pytest.mark.parametrize("scene", [*ALIKE_ENOUGH, "against-0.2"])
def test_without_false_updates_the_default_costs_nothing(scene):
    assert cost("spectral-filter", SCENES[scene], seeds=2) < 1e-9


def test_gates_refuse_what_is_too_long_and_what_is_a_copy():
    changes = np.random.default_rng(1).normal(size=(10, DIMENSION))
    assert gates_pass(changes)
    assert not gates_pass(np.concatenate([changes, 6 * changes[:1] + 1]))
    assert not gates_pass(np.concatenate([changes, 1.01 * changes[:1]]))


def test_unlikeness_is_the_largest_variance_in_squares_of_the_mean():
    changes = np.array([[1.0, 2.0], [1.0, -2.0]])
    assert unlikeness(changes) == pytest.approx(4)
