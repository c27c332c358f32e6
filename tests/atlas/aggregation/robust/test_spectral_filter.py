import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.centered_clipping import RULE as CENTERED_CLIPPING
from atlas.aggregation.robust.linear_algebra import principal_direction
from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.robust.spectral_filter import RULE
from tests.support.aggregation.updates import DIMENSION, attacked, centre, cosine, geometry, honest, ratio

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=12)
SEEDS = st.integers(0, 2**32 - 1)
SPREADS = st.sampled_from([0.5, 1.0, 2.0])
CERTAIN = np.sqrt(0.4)
"""The cosine that a certified mean keeps with the honest one."""


def kinds(counts: list[int], alike: float, own: float, seed: int) -> np.ndarray:
    """Honest changes of several kinds, whose directions have the cosine `alike` with each other."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.normal(size=(DIMENSION, len(counts))))[0].T
    products = np.full((len(counts), len(counts)), alike) + (1 - alike) * np.eye(len(counts))
    directions = np.linalg.cholesky(products) @ frame
    deviations = rng.normal(size=(sum(counts), DIMENSION)) / np.sqrt(DIMENSION)
    return np.repeat(directions, counts, axis=0) + own * deviations


def against(changes: np.ndarray, false: int, scale: float, length: float, seed: int) -> np.ndarray:
    """False changes of `length` medians: the honest mean times -scale, and noise of each one's own."""
    rng = np.random.default_rng(seed)
    back = -scale * changes.mean(axis=0)
    wanted = length * np.median(np.linalg.norm(changes, axis=1))
    noise = np.sqrt(wanted**2 - back @ back) / np.sqrt(DIMENSION)
    return np.concatenate([changes, back + noise * rng.normal(size=(false, DIMENSION))])


@pytest.mark.parametrize(("shares", "false"), [([8, 6], 6), ([4, 3], 3)])
def test_unlike_honest_updates_are_not_turned_around_by_noisy_ones_against_their_mean(shares, false):
    """Of 20 nodes centered clipping counts the liars, whose noise differs, for more than honest nodes that agree."""
    changes = kinds(shares, 0.05, 0.3, 0)
    truth = changes.mean(axis=0)
    sent = against(changes, false, 2.2, 1.9, 1)
    assert cosine(centre(RULE, sent), truth) > CERTAIN
    if sum(shares) == 14:
        assert cosine(centre(CENTERED_CLIPPING, sent), truth) < -0.5


@pytest.mark.parametrize("count", [10, 20])
@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "attack", ["sign flip", "strong sign flip", "alie", "weak inner product", "inner product", "zero"]
)
def test_three_tenths_of_false_updates_do_not_turn_the_result_nor_shorten_that_of_like_nodes(count, spread, attack):
    false = 3 * count // 10
    changes = honest(count, spread, 11)
    truth, found = changes[false:].mean(axis=0), centre(RULE, attacked(changes, false, attack))
    unlike = spread == 2.0  # too much so to leave out any that may be honest: false updates still shorten the step
    assert cosine(found, truth) > (0.9 if unlike else 0.97)
    assert (0.55 if unlike else 0.95) < ratio(found, truth) < 1.05


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_updates_that_no_gate_has_refused_for_their_length_count_as_two_medians_at_most(spread):
    changes = honest(20, spread, 11)
    truth, found = changes[6:].mean(axis=0), centre(RULE, attacked(changes, 6, "scaled"))
    assert cosine(found, truth) > 0.9
    assert ratio(found, truth) < 1.35


FAMILIES = {
    "like": honest(20, 0.5, 7),
    "of their own": honest(20, 2.0, 7),
    "two kinds": kinds([12, 8], 0.0, 0.3, 7),
    "near the tolerated share": kinds([14, 6], 0.0, 0.5, 7),
    "three kinds": kinds([8, 6, 6], 0.0, 0.5, 7),
    "kinds that disagree": kinds([12, 8], -0.2, 0.5, 7),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_without_an_attack_the_result_is_the_mean_on_like_and_on_unlike_nodes(family):
    found = RULE.coefficients(geometry(FAMILIES[family]), RobustSpec())
    np.testing.assert_allclose(found, 1 / 20, rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_six_of_twenty_that_pull_back_do_not_turn_the_result(family, scale, noise):
    changes = FAMILIES[family][:14]
    truth = changes.mean(axis=0)
    length = np.hypot(scale * np.linalg.norm(truth) / np.median(np.linalg.norm(changes, axis=1)), noise)
    assert cosine(centre(RULE, against(changes, 6, scale, length, 3)), truth) > 0.5


@pytest.mark.parametrize("alike", [-0.3, -0.85])
def test_updates_of_flipped_labels_among_like_nodes_are_left_out(alike):
    """The cosines are those of MiniLM with flipped labels on 3 of 10 like nodes: 0.4 and -0.12, a round later -0.35."""
    changes = kinds([7, 3], alike, 1.2, 5)
    found = RULE.coefficients(geometry(changes), RobustSpec())
    np.testing.assert_allclose(found, [1 / 7] * 7 + [0] * 3, rtol=1e-12)


def test_updates_that_disagree_are_kept_if_they_are_more_than_the_tolerated_share():
    changes = kinds([6, 4], -0.2, 0.5, 5)
    np.testing.assert_allclose(RULE.coefficients(geometry(changes), RobustSpec()), 0.1, rtol=1e-12)


def test_nodes_that_agree_on_a_lie_do_not_count_for_more_than_honest_ones_that_differ():
    """The honest ones point apart by as much as real updates of nodes with one kind of text each."""
    changes = kinds([2, 2, 3], -0.1, 1.0, 5)
    truth = changes.mean(axis=0)
    for scale in (1.0, 2.5, 5.0):
        lie = -scale * truth + 0.02 * honest(3, 1.0, 9)
        assert cosine(centre(RULE, np.concatenate([changes, lie])), truth) > 0.5


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, spread=SPREADS)
def test_coefficients_are_shares(weights, seed, spread):
    changes = honest(len(weights), spread, seed)
    changes[: len(weights) // 3] *= -4
    found = RULE.coefficients(geometry(changes, weights), RobustSpec())
    assert (found >= 0).all()
    assert 0 < found.sum() <= 1 + 1e-12


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, spread=SPREADS)
def test_the_order_of_nodes_does_not_matter(weights, seed, spread):
    changes, weights = honest(len(weights), spread, seed), np.array(weights)
    changes[: len(weights) // 3] *= -4
    order = np.random.default_rng(seed).permutation(len(weights))
    found, other = centre(RULE, changes, weights), centre(RULE, changes[order], weights[order])
    assert np.linalg.norm(found - other) <= 0.02 * np.linalg.norm(found)


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, seed=SEEDS, factor=st.sampled_from([1e-6, 0.25, 1e6]))
def test_longer_updates_give_a_longer_result(weights, seed, factor):
    changes = honest(len(weights), 1.0, seed)
    np.testing.assert_allclose(
        centre(RULE, factor * changes, weights), factor * centre(RULE, changes, weights), rtol=1e-6, atol=1e-9 * factor
    )


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, count=st.integers(3, 20), spread=SPREADS, scale=st.floats(0, 6), noise=st.floats(0, 3))
def test_like_honest_nodes_keep_the_certified_cosine_against_any_such_lie(seed, count, spread, scale, noise):
    """As long as honest updates are much alike, whatever the others send."""
    false = RobustSpec().false_among(count)
    changes = honest(count, min(spread, np.sqrt(count) / 4), seed)
    truth = changes[false:].mean(axis=0)
    lie = -scale * truth + noise * honest(max(1, false), 1.0, seed + 1)[:false]
    sent = np.concatenate([lie, changes[false:]])
    assert (
        cosine(apply_rule(RULE, geometry(sent), RobustSpec(), [str(i) for i in range(count)], "") @ sent, truth) > 0.5
    )


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_equal_updates_and_updates_without_any_change_are_averaged(count):
    one = np.repeat(honest(1, 1.0, 3), count, axis=0)
    np.testing.assert_allclose(centre(RULE, one), one[0], atol=1e-12)
    np.testing.assert_allclose(RULE.coefficients(geometry(np.zeros((count, 9))), RobustSpec()), 1 / count)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_one_stray_update_of_a_few_does_not_turn_the_result(count):
    changes = honest(count, 0.5, 3)
    truth = changes[1:].mean(axis=0)
    changes[0] *= -20
    assert cosine(centre(RULE, changes), truth) > 0.9


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 20))
def test_the_principal_direction_is_that_of_the_largest_eigenvalue(seed, size):
    rows = np.random.default_rng(seed).normal(size=(size, 3 * size))
    value, vector = principal_direction(rows @ rows.T)
    assert value == pytest.approx(np.linalg.eigvalsh(rows @ rows.T)[-1], rel=0.01)
    assert np.linalg.norm(vector) == pytest.approx(1)
