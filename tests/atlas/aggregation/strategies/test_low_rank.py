import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.strategies.low_rank import ProductSum

OUT, IN, RANK = 40, 30, 3


def products(seed, count, true_rank, noise):
    """Products whose sum has `true_rank` strong directions, and weak ones beside them."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(OUT, true_rank)), rng.normal(size=(true_rank, IN))
    for _ in range(count):
        b = left @ rng.normal(size=(true_rank, RANK)) + noise * rng.normal(size=(OUT, RANK))
        a = rng.normal(size=(RANK, true_rank)) @ right + noise * rng.normal(size=(RANK, IN))
        yield rng.random(), b.astype(np.float32), a.astype(np.float32)


def best(terms, room, rank=RANK):
    found = ProductSum(OUT, IN, room)
    for share, b, a in terms:
        found.add(np.full(len(a), share), b, a)
    directions = found.best(rank)
    return (directions.left * directions.values) @ directions.right


def dense(terms):
    return sum(share * b.astype(np.float64) @ a.astype(np.float64) for share, b, a in terms)


def truncated(matrix, rank):
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return (left[:, :rank] * values[:rank]) @ right[:rank], values


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 12))
def test_recompression_loses_nothing_while_the_sum_fits(seed, count, true_rank):
    terms = list(products(seed, count, true_rank, noise=0))
    unbatched, batched = best(terms, room=RANK * count), best(terms, room=24)
    scale = np.linalg.norm(dense(terms))
    assert np.linalg.norm(batched - unbatched) <= 1e-6 * scale
    assert (
        np.linalg.norm(dense(terms) - unbatched)
        <= np.linalg.norm(dense(terms) - truncated(dense(terms), RANK)[0]) + 1e-6 * scale
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(9, 40), st.floats(1e-4, 0.3))
def test_recompression_of_more_loses_no_more_than_the_weak_directions(seed, count, noise):
    terms = list(products(seed, count, true_rank=4, noise=noise))
    exact = dense(terms)
    optimum, values = truncated(exact, RANK)
    lost = np.linalg.norm(exact - best(terms, room=24)) - np.linalg.norm(exact - optimum)
    assert lost <= np.linalg.norm(values[12:])
    assert lost <= 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize(("ratio", "kept"), [(1e-6, 2), (1e-8, 1)])
def test_directions_that_float32_cannot_tell_from_nothing_are_dropped(ratio, kept):
    found = ProductSum(2, 2, 2)
    found.add(np.ones(2), np.eye(2, dtype=np.float32), np.diag([1, ratio]).astype(np.float32))
    assert found.best(2).values.shape == (kept,)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-7, 1e-2))
def test_weak_directions_beside_strong_ones_keep_their_digits(seed, ratio):
    rng = np.random.default_rng(seed)
    strong, weak = (rng.normal(size=(OUT, 1)).astype(np.float32) for _ in range(2))
    a = rng.normal(size=(2, IN)).astype(np.float32)
    found = ProductSum(OUT, IN, 2)
    found.add(np.ones(1), strong, a[:1])
    found.add(np.full(len(a) - 1, ratio), weak, a[1:])
    directions = found.best(2)
    exact = strong.astype(np.float64) @ a[:1] + ratio * weak.astype(np.float64) @ a[1:]
    kept = (directions.left * directions.values) @ directions.right
    assert np.linalg.norm(kept - exact) <= max(1e-13, 2**-23 if len(directions.values) == 1 else 0) * np.linalg.norm(
        exact
    )


@pytest.mark.parametrize("rank", [1, 3, 50])
def test_directions_are_orthonormal_and_ordered(rank):
    found = ProductSum(OUT, IN, 60)
    for share, b, a in products(0, 20, 12, 0.1):
        found.add(np.full(len(a), share), b, a)
    directions = found.best(rank)
    count = min(rank, OUT, IN)
    np.testing.assert_allclose(directions.left.T @ directions.left, np.eye(count), atol=1e-12)
    np.testing.assert_allclose(directions.right @ directions.right.T, np.eye(count), atol=1e-12)
    assert (np.diff(directions.values) <= 0).all()


def test_a_sum_of_zeros_has_no_direction():
    found = ProductSum(4, 5, 2)
    found.add(np.ones(2), np.zeros((4, 2), np.float32), np.ones((2, 5), np.float32))
    directions = found.best(2)
    assert (directions.left.shape, directions.values.shape, directions.right.shape) == ((4, 0), (0,), (0, 5))


def test_very_large_and_very_small_numbers():
    for size in (1e-38, 1e38):
        b, a = np.full((4, 1), size, np.float32), np.full((1, 5), size, np.float32)
        found = ProductSum(4, 5, 1)
        found.add(np.full(len(a), 0.5), b, a)
        np.testing.assert_allclose(found.best(1).values, 0.5 * size**2 * np.sqrt(20), rtol=1e-6)
