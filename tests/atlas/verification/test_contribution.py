"""Scores of updates: who helped is above the neutral score, who harmed below, and nobody leaves the bounds."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from atlas.errors import AggregationError
from atlas.verification.contribution import (
    HIGHEST,
    LOWEST,
    NEUTRAL,
    WeightedUpdate,
    alignment_scores,
    choose_method,
    leave_one_out_scores,
    rows_to_sample,
)

LOSSES = st.floats(0, 1e6)
A, B = "x.lora_A.weight", "x.lora_B.weight"


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


@pytest.fixture
def adapter(tmp_path):
    """Write an adapter of two factors: `adapter("name", a=[1, 0], b=[0, 1])`."""

    def write(name: str, a: list[float], b: list[float]) -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({A: np.array([a], np.float32), B: np.array([b], np.float32)}, path)
        return path

    return write


def updates(adapter, *vectors, weights=None):
    """Updates that leave A as it is."""
    weights = weights or [1] * len(vectors)
    return [
        WeightedUpdate(f"s{index:03d}", adapter(f"s{index:03d}", [0, 0], list(vector)), weight)
        for index, (vector, weight) in enumerate(zip(vectors, weights, strict=True))
    ]


def test_alignment_is_one_plus_half_the_cosine_with_the_others(adapter):
    found = updates(adapter, (1, 0), (1, 0), (-1, 0))
    assert alignment_scores(found[:2], None) == {"s000": 1500, "s001": 1500}
    assert alignment_scores([found[0], found[2]], None) == {"s000": 500, "s002": 500}
    tilted = updates(adapter, (1, 0), (1, 1))
    assert list(alignment_scores(tilted, None).values()) == [round(1000 + 500 / math.sqrt(2))] * 2
    apart = updates(adapter, (1, 0), (0, 1))
    assert list(alignment_scores(apart, None).values()) == [NEUTRAL, NEUTRAL]


def test_the_others_count_by_their_weights(adapter):
    vectors = [(1, 0), (3, 0), (0, 1)]
    light = alignment_scores(updates(adapter, *vectors, weights=[1, 1, 1]), None)
    heavy = alignment_scores(updates(adapter, *vectors, weights=[1, 1, 100]), None)
    assert heavy["s000"] < light["s000"]
    # s002 alone stands against s000 + s001, whatever its own weight is
    assert heavy["s002"] == light["s002"] == NEUTRAL


def test_an_update_that_changes_nothing_earns_nothing(adapter):
    scores = alignment_scores(updates(adapter, (0, 0), (1, 0), (1, 0)), None)
    assert scores == {"s000": 0, "s001": 1500, "s002": 1500}
    assert alignment_scores(updates(adapter, (0, 0), (1, 0)), None) == {"s000": 0, "s001": NEUTRAL}
    assert alignment_scores(updates(adapter, (1, 0)), None) == {"s000": NEUTRAL}


def test_what_all_updates_start_from_does_not_make_them_alike(adapter):
    """With a base its values are taken off; without one only the factors that start at zero are read."""
    one, other = adapter("one", [9, 9], [9, 8]), adapter("other", [9, 9], [8, 9])
    found = [WeightedUpdate("one", one, 1), WeightedUpdate("other", other, 1)]
    assert alignment_scores(found, adapter("base", [9, 9], [8, 8])) == {"one": NEUTRAL, "other": NEUTRAL}
    apart = [
        WeightedUpdate("one", adapter("c", [9, 9], [1, 0]), 1),
        WeightedUpdate("other", adapter("d", [9, 9], [0, 1]), 1),
    ]
    assert alignment_scores(apart, None) == {"one": NEUTRAL, "other": NEUTRAL}


def test_an_adapter_of_another_shape_is_an_error(adapter):
    found = updates(adapter, (1, 0), (1, 0, 0))
    with pytest.raises(AggregationError, match=r"x\.lora_A\.weight"):
        alignment_scores(found, adapter("base", [0, 0, 0], [0, 0]))


@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=2,
        max_size=5,
    )
)
def test_alignment_stays_in_bounds_whatever_the_numbers(tmp_path_factory, vectors):
    folder = tmp_path_factory.mktemp("adapters")
    found = []
    for index, vector in enumerate(vectors):
        path = folder / f"{index}.safetensors"
        save_file({B: np.array(vector, np.float32)}, path)
        found.append(WeightedUpdate(str(index), path, index + 1))
    scores = alignment_scores(found, None)
    assert all(0 <= score <= HIGHEST for score in scores.values())
    assert alignment_scores(found, None) == scores
