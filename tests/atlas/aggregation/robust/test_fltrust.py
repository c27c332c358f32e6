import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.fltrust import RULE
from atlas.aggregation.robust.settings import RobustSpec
from atlas.errors import AggregationError
from tests.support.aggregation.updates import attacked, centre, cosine, geometry, honest

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=9)
SEEDS = st.integers(0, 2**32 - 1)


def with_reference(count, seed, spread=1.0):
    *changes, reference = honest(count + 1, spread, seed)
    return np.array(changes), reference


def dense(changes, weights, reference):
    total, result = 0.0, np.zeros(changes.shape[1])
    for change, weight in zip(changes, weights, strict=True):
        trust = weight * max(0.0, cosine(change, reference))
        total += trust
        result += trust * change * min(1.0, np.linalg.norm(reference) / np.linalg.norm(change))
    return result / total if total else result


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, flipped=st.booleans(), factor=st.sampled_from([0.1, 1.0, 20.0]))
def test_equals_the_rule_on_vectors(weights, seed, flipped, factor):
    changes, reference = with_reference(len(weights), seed)
    changes[0] *= -factor if flipped else factor
    np.testing.assert_allclose(
        centre(RULE, changes, weights, reference), dense(changes, weights, reference), atol=1e-10
    )


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS)
def test_two_halves_of_a_node_count_as_the_whole(weights, seed):
    changes, reference = with_reference(len(weights), seed)
    split = centre(RULE, np.vstack([changes, changes[:1]]), [weights[0] / 2, *weights[1:], weights[0] / 2], reference)
    np.testing.assert_allclose(split, centre(RULE, changes, weights, reference), atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS)
def test_the_order_of_nodes_does_not_matter(weights, seed):
    changes, reference = with_reference(len(weights), seed)
    order, weights = np.random.default_rng(seed).permutation(len(weights)), np.array(weights)
    np.testing.assert_allclose(
        centre(RULE, changes[order], weights[order], reference),
        centre(RULE, changes, weights, reference),
        atol=1e-10,
    )


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, factor=st.sampled_from([1e-6, 0.25, 3.0, 1e6]))
def test_everything_scales_together(seed, factor):
    changes, reference = with_reference(5, seed)
    np.testing.assert_allclose(
        centre(RULE, factor * changes, reference=factor * reference),
        factor * centre(RULE, changes, reference=reference),
        rtol=1e-7,
        atol=1e-9 * factor,
    )


def test_the_trusted_change_itself_counts_in_full():
    reference = honest(1, 1.0, 3)
    np.testing.assert_allclose(centre(RULE, reference, reference=reference[0]), reference[0], rtol=1e-9)


def test_a_short_update_is_not_stretched():
    _, reference = with_reference(1, 3)
    np.testing.assert_allclose(centre(RULE, reference[None] / 8, reference=reference), reference / 8, rtol=1e-9)


def test_updates_that_all_point_away_move_nothing():
    changes, reference = with_reference(5, 3, spread=0.5)
    assert RULE.coefficients(geometry(-changes, reference=reference), RobustSpec()).tolist() == [0.0] * 5


def test_an_update_or_a_reference_without_change_counts_nothing():
    changes, reference = with_reference(3, 3)
    changes[1] = 0
    found = RULE.coefficients(geometry(changes, reference=reference), RobustSpec())
    assert found[1] == 0 and found[0] > 0
    assert not RULE.coefficients(geometry(changes, reference=0 * reference), RobustSpec()).any()


def test_without_a_reference_it_says_so():
    with pytest.raises(AggregationError, match="reference rows"):
        RULE.coefficients(geometry(honest(3, 1.0, 3)), RobustSpec())


@pytest.mark.parametrize("attack", ["sign flip", "strong sign flip", "scaled", "inner product", "zero"])
def test_false_updates_of_six_in_ten_nodes_do_not_turn_the_result(attack):
    changes, reference = with_reference(10, 11)
    forged = np.concatenate([attacked(changes, 4, attack)[:4], attacked(changes, 4, attack)[:2], changes[6:]])
    found = centre(RULE, forged, reference=reference)
    assert cosine(found, changes[6:].mean(axis=0)) > 0.8
    assert np.linalg.norm(found) <= np.linalg.norm(reference) * (1 + 1e-9)
