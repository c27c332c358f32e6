import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.multi_krum import RULE
from atlas.aggregation.robust.settings import RobustSpec
from tests.support.aggregation.updates import attacked, centre, cosine, geometry, honest

SEEDS = st.integers(0, 2**32 - 1)


def chosen(changes, **settings):
    return set(np.flatnonzero(RULE.coefficients(geometry(changes), RobustSpec(**settings))).tolist())


def dense(changes, weights, tolerated):
    count = len(changes)
    false = min(int(tolerated * count + 1e-9), (count - 3) // 2)
    scores = []
    for one in changes:
        squares = sorted(float(((one - other) ** 2).sum()) for other in changes)
        scores.append(sum(squares[1 : count - false - 1]))  # the first is the distance to itself
    kept = sorted(sorted(range(count), key=lambda place: scores[place])[: count - false])
    return np.average(changes[kept], axis=0, weights=np.asarray(weights)[kept])


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(1, 1000), min_size=3, max_size=15),
    seed=SEEDS,
    spread=st.sampled_from([0.5, 2.0]),
    tolerated=st.sampled_from([0.0, 0.1, 0.3, 0.45]),
)
def test_equals_the_rule_on_vectors(weights, seed, spread, tolerated):
    changes = honest(len(weights), spread, seed)
    found = centre(RULE, changes, weights, tolerated=tolerated)
    np.testing.assert_allclose(found, dense(changes, weights, tolerated), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=12), seed=SEEDS)
def test_the_order_of_nodes_does_not_matter(weights, seed):
    changes, weights = honest(len(weights), 1.0, seed), np.array(weights)
    order = np.random.default_rng(seed).permutation(len(weights))
    np.testing.assert_allclose(centre(RULE, changes[order], weights[order]), centre(RULE, changes, weights), atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 12), seed=SEEDS, factor=st.sampled_from([1e-6, 0.25, 3.0, 1e6]))
def test_longer_updates_give_a_longer_result(count, seed, factor):
    changes = honest(count, 1.0, seed)
    np.testing.assert_allclose(
        centre(RULE, factor * changes), factor * centre(RULE, changes), rtol=1e-7, atol=1e-9 * factor
    )


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=12), seed=SEEDS)
def test_equal_updates_give_themselves(weights, seed):
    one = honest(1, 1.0, seed)
    np.testing.assert_allclose(centre(RULE, np.repeat(one, len(weights), axis=0), weights), one[0], atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_too_few_updates_for_a_choice_give_the_weighted_mean(count):
    weights = np.arange(1.0, count + 1)
    found = RULE.coefficients(geometry(honest(count, 1.0, 3), weights), RobustSpec(tolerated=0.49))
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-12)


def test_no_more_are_left_out_than_the_proof_covers():
    changes = honest(6, 1.0, 3)
    assert len(chosen(changes, tolerated=0.49)) == 5  # 6 > 2f + 2 holds for one, and 0.49 x 6 are two


def test_equal_scores_go_by_position():
    assert chosen(np.eye(10)) == set(range(7))
    assert chosen(np.eye(100)) == set(range(70))


def test_false_updates_do_not_vouch_for_each_other():
    assert chosen(np.array([[0.0], [2.0], [4.0], [100.0], [100.1]])) == {0, 1, 2, 3}  # each needs two neighbours


def test_updates_that_nearly_agree_are_told_apart():
    """Deviations of a ten-thousandth of the updates' length, which a Gram matrix in single precision cannot hold."""
    rng = np.random.default_rng(5)
    common = rng.normal(size=400)
    changes = common + 1e-4 * rng.normal(size=(10, 400))
    changes[[2, 5, 8]] = common + 1e-3 * rng.normal(size=(3, 400))
    assert chosen(changes) == {0, 1, 3, 4, 6, 7, 9}
    single = changes.astype(np.float32)
    gram = (single @ single.T).astype(np.float64)
    squares = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    exact = ((changes[:, None] - changes) ** 2).sum(axis=2)
    assert np.abs(squares - exact).max() > exact[exact > 0].min()


@pytest.mark.parametrize("attack", ["strong sign flip", "scaled", "inner product"])
@pytest.mark.parametrize("count", [10, 20])
def test_far_updates_are_left_out(count, attack):
    false = 3 * count // 10
    changes = honest(count, 1.0, 11)
    assert chosen(attacked(changes, false, attack)) == set(range(false, count))


def test_the_chosen_count_by_their_rows():
    changes, weights = attacked(honest(10, 1.0, 11), 3, "scaled"), np.arange(1.0, 11.0)
    found = RULE.coefficients(geometry(changes, weights), RobustSpec())
    np.testing.assert_allclose(found, [0, 0, 0, *(weights[3:] / weights[3:].sum())], rtol=1e-12)
    assert cosine(found @ changes, np.average(changes[3:], axis=0, weights=weights[3:])) > 1 - 1e-12
