"""Scores of updates: who helped is above the neutral score, who harmed below, and nobody leaves the bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.aggregation.robust.rule import Geometry
from atlas.verification.contribution import (
    HIGHEST,
    LOWEST,
    NEUTRAL,
    alignment_scores,
    choose_method,
    leave_one_out_scores,
    rows_to_sample,
)

LOSSES = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("asked", "updates", "method"),
    [
        ("auto", 8, "leave-one-out"),
        ("auto", 9, "alignment"),
        ("auto", 1, "none"),
        ("leave-one-out", 100, "leave-one-out"),
        ("leave-one-out", 1, "none"),
        ("alignment", 2, "alignment"),
        ("none", 4, "none"),
    ],
)
def test_the_method_follows_from_the_spec_and_the_number_of_updates(asked, updates, method):
    assert choose_method(asked, updates) == method


def test_leave_one_out_costs_no_more_than_the_evaluation_itself():
    assert [updates * rows_to_sample(updates) for updates in (2, 4, 8)] == [2000, 2000, 2000]
    assert rows_to_sample(100) == 250


def test_leave_one_out_by_hand():
    """Values 0.06, 0.02, 0 and -0.04: their mean size is 0.03."""
    losses = {"s000": (0.5, 0.56), "s001": (0.5, 0.52), "s002": (0.5, 0.5), "s003": (0.5, 0.46)}
    assert leave_one_out_scores(losses) == {"s000": 1500, "s001": 1333, "s002": 1000, "s003": 500}


def test_noise_is_not_blown_up_into_pay():
    assert leave_one_out_scores({"a": (1.0, 1.0 + 4e-6), "b": (1.0, 1.0 - 4e-6)}) == {"a": 1002, "b": 998}
    assert leave_one_out_scores({"a": (0.0, 0.0), "b": (0.0, 0.0)}) == {"a": NEUTRAL, "b": NEUTRAL}
    assert leave_one_out_scores({}) == {}


@given(LOSSES, st.dictionaries(st.text("abc", min_size=1), LOSSES, min_size=1))
def test_leave_one_out_keeps_order_sign_and_bounds(loss, without):
    losses = {name: (loss, value) for name, value in without.items()}
    scores = leave_one_out_scores(losses)
    for name, score in scores.items():
        assert LOWEST <= score <= HIGHEST
        assert (without[name] > loss) >= (score > NEUTRAL)
        assert (without[name] < loss) >= (score < NEUTRAL)
        assert all(score <= scores[other] for other in scores if without[name] < without[other])
    assert leave_one_out_scores(dict(reversed(losses.items()))) == scores


def geometry(*vectors, weights=None) -> Geometry:
    """The geometry of changes that are given as they are."""
    changes = np.array(vectors, np.float64)
    shares = np.array(weights or [1] * len(vectors), np.float64)
    return Geometry(weights=shares / shares.sum(), gram=changes @ changes.T)


def scores(*vectors, weights=None) -> list[int]:
    found = alignment_scores([f"s{index:03d}" for index in range(len(vectors))], geometry(*vectors, weights=weights))
    assert list(found) == [f"s{index:03d}" for index in range(len(vectors))]
    return list(found.values())


def test_alignment_is_one_plus_half_the_cosine_with_the_others():
    assert scores((1, 0), (1, 0)) == [1500, 1500]
    assert scores((1, 0), (-1, 0)) == [500, 500]
    assert scores((1, 0), (0, 1)) == [NEUTRAL, NEUTRAL]
    assert scores((1, 0), (1, 1)) == [round(1000 + 500 / math.sqrt(2))] * 2


def test_the_others_count_by_their_weights():
    vectors = [(1, 0), (3, 0), (0, 1)]
    light, heavy = scores(*vectors, weights=[1, 1, 1]), scores(*vectors, weights=[1, 1, 100])
    assert heavy[0] < light[0]
    # the third alone stands against the first two, whatever its own weight is
    assert heavy[2] == light[2] == NEUTRAL


def test_an_update_that_changes_nothing_earns_nothing():
    assert scores((0, 0), (1, 0), (1, 0)) == [0, 1500, 1500]
    assert scores((0, 0), (1, 0)) == [0, NEUTRAL]
    assert scores((1, 0)) == [NEUTRAL]


def test_where_the_others_cancel_out_there_is_nothing_to_point_at():
    assert scores((1, 0), (0.1, 1 / 3), (-0.1, -1 / 3))[0] == NEUTRAL


FLOATS = st.floats(-1e30, 1e30, allow_subnormal=False)


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=2, max_size=5), st.randoms())
def test_alignment_stays_in_bounds_whatever_the_numbers_and_their_order(vectors, chance):
    weights = list(range(1, len(vectors) + 1))
    found = scores(*vectors, weights=weights)
    assert all(score == 0 or LOWEST <= score <= HIGHEST for score in found)
    order = list(range(len(vectors)))
    chance.shuffle(order)
    again = scores(*(vectors[i] for i in order), weights=[weights[i] for i in order])
    assert all(abs(again[place] - found[i]) <= 1 for place, i in enumerate(order))


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=4, max_size=4), min_size=2, max_size=6),
    st.lists(st.integers(1, 50), min_size=6, max_size=6),
)
def test_alignment_agrees_with_the_sums_themselves(vectors, weights):
    changes = np.array(vectors, np.float64)
    weights = np.array(weights[: len(vectors)], np.float64)
    found = scores(*vectors, weights=weights.tolist())
    for i, own in enumerate(changes):
        others = sum(weight * change for j, (weight, change) in enumerate(zip(weights, changes, strict=True)) if j != i)
        expected = 0.0
        if not own.any():
            assert found[i] == 0
            continue
        if others.any():
            expected = own @ others / np.linalg.norm(own) / np.linalg.norm(others)
        assert abs(found[i] - (1000 + 500 * expected)) <= 0.51
