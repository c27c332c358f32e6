"""Trimmed mean and median."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from atlas.aggregation.robust.order_statistics import MEDIAN, TRIMMED_MEAN
from atlas.aggregation.robust.settings import RobustSpec
from tests.support.aggregation.updates import attacked, cosine, honest

RULES = [TRIMMED_MEAN, MEDIAN]
BLOCKS = st.tuples(st.integers(1, 13), st.integers(1, 40)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32))
)


def dense_trimmed_mean(values, trim):
    result = []
    for column in values.T.tolist():
        kept = sorted(column)[trim : len(column) - trim]
        result.append(sum(kept) / len(kept))
    return np.array(result)


@settings(max_examples=80, deadline=None)
@given(values=BLOCKS, tolerated=st.sampled_from([0.0, 0.1, 0.3, 0.49]))
def test_the_trimmed_mean_equals_a_plain_one(values, tolerated):
    found = TRIMMED_MEAN.columns(values, RobustSpec(tolerated=tolerated))
    trim = int(tolerated * len(values) + 1e-9)
    np.testing.assert_allclose(found, dense_trimmed_mean(values, trim), rtol=1e-12, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(values=BLOCKS)
def test_the_median_equals_numpys(values):
    found = MEDIAN.columns(values, RobustSpec())
    np.testing.assert_array_equal(found, np.median(values.astype(np.float64), axis=0))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@settings(max_examples=40, deadline=None)
@given(values=BLOCKS, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_nodes_does_not_change_a_bit(rule, values, seed):
    order = np.random.default_rng(seed).permutation(len(values))
    spec = RobustSpec()
    assert rule.columns(values[order], spec).tobytes() == rule.columns(values, spec).tobytes()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("updates", [1, 2, 3, 50, 3000])
def test_the_width_of_a_block_does_not_change_a_bit(rule, updates):
    values = np.random.default_rng(1).normal(size=(updates, 5000 if updates < 1000 else 150)).astype(np.float32)
    spec, width = RobustSpec(), values.shape[1]
    whole = rule.columns(values, spec)
    for step in (1 if updates == 50 else 7, 64, 999):
        parts = [rule.columns(values[:, first : first + step], spec) for first in range(0, min(width, 2100), step)]
        joined = np.concatenate(parts)
        assert joined.tobytes() == whole[: len(joined)].tobytes()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_values_are_left_as_they_are(rule):
    values = honest(7, 1.0, 3).astype(np.float32)
    before = values.copy()
    rule.columns(values, RobustSpec())
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_updates_scale_the_result(rule):
    values = honest(9, 1.0, 3).astype(np.float32)
    np.testing.assert_array_equal(rule.columns(8 * values, RobustSpec()), 8 * rule.columns(values, RobustSpec()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("updates", [1, 2, 3, 10])
def test_equal_updates_give_themselves(rule, updates):
    one = honest(1, 1.0, 3).astype(np.float32)
    np.testing.assert_allclose(rule.columns(np.repeat(one, updates, axis=0), RobustSpec()), one[0], rtol=1e-15)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_zeros_come_out_positive(rule):
    """Which of two zeros is the smaller one depends on the machine."""
    values = np.array([[-0.0], [0.0], [-0.0], [-0.0]], np.float32)
    assert not np.signbit(rule.columns(values, RobustSpec())).any()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("lie", [3e38, -3e38])
def test_every_number_stays_within_the_honest_ones(rule, lie):
    values = honest(10, 1.0, 3).astype(np.float32)
    values[[1, 4, 8]] = lie
    true = np.delete(values, [1, 4, 8], axis=0)
    found = rule.columns(values, RobustSpec())
    assert (true.min(axis=0) <= found).all() and (found <= true.max(axis=0)).all()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("attack", ["sign flip", "strong sign flip", "scaled", "alie", "inner product"])
def test_three_tenths_of_false_updates_do_not_turn_the_result(rule, attack):
    changes = honest(20, 1.0, 11)
    found = rule.columns(attacked(changes, 6, attack).astype(np.float32), RobustSpec())
    assert cosine(found, changes[6:].mean(axis=0)) > 0.8
