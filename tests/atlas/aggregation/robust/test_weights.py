import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.robust.weights import capped

ROWS = st.lists(st.integers(1, 10**7), min_size=3, max_size=40)


def shares(rows):
    return np.array(rows) / sum(rows)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS, tolerated=st.sampled_from([0.0, 0.1, 0.3, 0.45]))
def test_the_heaviest_shards_cannot_hold_too_much(rows, tolerated):
    spec = RobustSpec(tolerated=tolerated)
    found = capped(shares(rows), spec)
    heaviest = max(1, spec.false_among(len(rows)))
    fair = heaviest / len(rows)
    assert sum(sorted(found)[-heaviest:]) <= (fair + 0.5) / 2 + 1e-9
    assert sum(found) == pytest.approx(1, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_only_the_largest_are_cut_and_to_one_weight(rows):
    before = shares(rows)
    found = capped(before, RobustSpec())
    kept = found / before
    uncut = kept >= kept.max() * (1 - 1e-9)
    if not uncut.all():
        np.testing.assert_allclose(found[~uncut], found.max(), rtol=1e-9)
        assert before[uncut].max() <= before[~uncut].min() * (1 + 1e-9)


def test_like_shards_keep_their_weights():
    before = shares([90, 100, 110, 100, 95])
    assert capped(before, RobustSpec()).tobytes() == before.tobytes()


def test_one_shard_with_most_rows_does_not_own_the_round():
    np.testing.assert_allclose(
        capped(shares([9000, 300, 400, 300]), RobustSpec()), [0.375, 0.1875, 0.25, 0.1875], rtol=1e-9
    )


def test_few_shards():
    assert capped(shares([7]), RobustSpec()).tolist() == [1.0]
    np.testing.assert_allclose(capped(shares([1, 9]), RobustSpec()), [0.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(capped(shares([1, 1, 8]), RobustSpec()), [7 / 24, 7 / 24, 10 / 24], rtol=1e-9)
