import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.centered_clipping import RULE
from atlas.aggregation.robust.settings import RobustSpec
from tests.support.aggregation.updates import attacked, centre, cosine, geometry, honest, ratio

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=9)
SEEDS = st.integers(0, 2**32 - 1)
SPREADS = st.sampled_from([0.5, 1.0, 2.0])


def weighted_upper_median(values, weights):
    order = sorted(range(len(values)), key=lambda place: values[place])
    for count in range(1, len(order) + 1):
        if sum(weights[place] for place in order[:count]) > 0.5 + 1e-9:
            return values[order[count - 1]]
    raise AssertionError("weights sum up to one")


def dense(changes, weights, factor, passes):
    """The same rule on the vectors themselves."""
    weights = np.asarray(weights, float) / sum(weights)
    units = changes / np.linalg.norm(changes, axis=1)[:, None]
    unlike = weights / (np.maximum(units @ units.T, 0) ** 2 @ weights)
    kept = changes @ dense_centre(changes, unlike / unlike.sum(), factor, passes) > 0
    if weights[kept].sum() < 0.5 + 1e-9:
        kept[:] = True
    return dense_centre(changes[kept], weights[kept] / weights[kept].sum(), factor, passes)


def dense_centre(changes, weights, factor, passes):
    centre = np.zeros(changes.shape[1])
    first = None
    for _ in range(passes):
        distances = [np.linalg.norm(change - centre) for change in changes]
        radius = factor * weighted_upper_median(distances, weights)
        first = radius if first is None else first
        radius = max(radius, 0.8 * first)
        move = np.zeros_like(centre)
        for change, weight, distance in zip(changes, weights, distances, strict=True):
            if 0 < distance <= 2 * radius:
                move += weight * min(1.0, radius / distance) * (change - centre)
        centre = centre + move
    return centre


@settings(max_examples=60, deadline=None)
@given(
    weights=WEIGHTS,
    seed=SEEDS,
    spread=SPREADS,
    factor=st.sampled_from([0.3, 1.0, 1.7]),
    passes=st.integers(1, 12),
    stray=st.booleans(),
)
def test_equals_the_rule_on_vectors(weights, seed, spread, factor, passes, stray):
    changes = honest(len(weights), spread, seed)
    if stray:
        changes[0] *= -7
    found = centre(RULE, changes, weights, clip_factor=factor, passes=passes)
    np.testing.assert_allclose(found, dense(changes, weights, factor, passes), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, spread=SPREADS)
def test_coefficients_are_shares(weights, seed, spread):
    found = RULE.coefficients(geometry(honest(len(weights), spread, seed), weights), RobustSpec())
    assert (found >= 0).all()
    assert found.sum() <= 1 + 1e-12


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, spread=SPREADS)
def test_the_order_of_nodes_does_not_matter(weights, seed, spread):
    changes, weights = honest(len(weights), spread, seed), np.array(weights)
    order = np.random.default_rng(seed).permutation(len(weights))
    np.testing.assert_allclose(centre(RULE, changes[order], weights[order]), centre(RULE, changes, weights), atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, spread=SPREADS)
def test_two_halves_of_a_node_count_as_the_whole(weights, seed, spread):
    changes = honest(len(weights), spread, seed)
    split = centre(RULE, np.vstack([changes, changes[:1]]), [weights[0] / 2, *weights[1:], weights[0] / 2])
    np.testing.assert_allclose(split, centre(RULE, changes, weights), atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, factor=st.sampled_from([1e-6, 0.25, 3.0, 1e6]))
def test_longer_updates_give_a_longer_result(weights, seed, factor):
    changes = honest(len(weights), 1.0, seed)
    np.testing.assert_allclose(
        centre(RULE, factor * changes, weights), factor * centre(RULE, changes, weights), rtol=1e-7, atol=1e-9 * factor
    )


@settings(max_examples=30, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS)
def test_equal_updates_give_themselves(weights, seed):
    one = honest(1, 1.0, seed)
    np.testing.assert_allclose(centre(RULE, np.repeat(one, len(weights), axis=0), weights), one[0], atol=1e-12)


def test_one_update_counts_in_full():
    assert RULE.coefficients(geometry(honest(1, 1.0, 3)), RobustSpec()).tolist() == [1.0]


@pytest.mark.parametrize("other", [1.0, 4.0, -100.0])
def test_of_two_updates_the_mean_is_taken_whatever_they_are(other):
    changes = honest(2, 1.0, 3) * np.array([[1.0], [other]])
    np.testing.assert_allclose(RULE.coefficients(geometry(changes), RobustSpec()), [0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_one_stray_update_of_a_few_is_left_out(count):
    changes = honest(count, 1.0, 3)
    changes[0] *= -20
    np.testing.assert_allclose(
        RULE.coefficients(geometry(changes), RobustSpec()), [0, *[1 / (count - 1)] * (count - 1)], atol=0.02
    )


def test_updates_without_any_change_give_none():
    assert np.isfinite(RULE.coefficients(geometry(np.zeros((4, 9))), RobustSpec())).all()


@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_without_an_attack_the_result_is_the_mean(count, spread):
    changes = honest(count, spread, 7)
    mean = changes.mean(axis=0)
    assert np.linalg.norm(centre(RULE, changes) - mean) < 0.02 * np.linalg.norm(mean)


def test_without_an_attack_updates_of_unlike_spread_stay_near_the_mean():
    changes = np.concatenate([honest(10, spread, 7)[:1] for spread in np.linspace(0.5, 2, 10)])
    mean = changes.mean(axis=0)
    assert np.linalg.norm(centre(RULE, changes) - mean) < 0.1 * np.linalg.norm(mean)


def test_a_majority_with_like_data_does_not_take_the_round():
    rng = np.random.default_rng(1)
    kinds = rng.normal(size=(3, 400)) / 20
    changes = honest(10, 0.5, 7) + 1.5 * kinds[[0] * 6 + [1] * 2 + [2] * 2]
    mean = changes.mean(axis=0)
    assert np.linalg.norm(centre(RULE, changes) - mean) < 0.1 * np.linalg.norm(mean)


@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("attack", "alike", "shortest", "longest"),
    [
        ("sign flip", 0.93, 0.7, 1.05),
        ("strong sign flip", 0.99, 0.95, 1.05),
        ("scaled", 0.99, 0.95, 1.05),
        ("alie", 0.97, 0.95, 1.05),
        ("weak inner product", 0.99, 0.95, 1.05),
        ("inner product", 0.99, 0.95, 1.05),
        ("zero", 0.99, 0.95, 1.05),
    ],
)
def test_three_tenths_of_false_updates_neither_turn_nor_shorten_the_result(
    count, spread, attack, alike, shortest, longest
):
    false = 3 * count // 10
    changes = honest(count, spread, 11)
    truth, found = changes[false:].mean(axis=0), centre(RULE, attacked(changes, false, attack))
    assert cosine(found, truth) > alike
    assert shortest < ratio(found, truth) < longest


def test_a_centre_that_may_point_backwards_drops_nobody():
    changes = attacked(honest(20, 3.0, 0), 6, "inner product")
    assert (RULE.coefficients(geometry(changes), RobustSpec())[6:] > 0).all()


def test_the_mean_fails_where_this_holds():
    changes = honest(10, 1.0, 11)
    truth, false = changes[3:].mean(axis=0), attacked(changes, 3, "strong sign flip")
    assert cosine(false.mean(axis=0), truth) < 0 < 0.99 < cosine(centre(RULE, false), truth)
