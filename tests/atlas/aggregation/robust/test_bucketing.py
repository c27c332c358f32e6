import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.robust.bucketing import (
    buckets,
    coefficients_of_members,
    geometry_of_buckets,
    settings_of_buckets,
)
from atlas.aggregation.robust.settings import RobustSpec
from tests.support.aggregation.updates import geometry, honest

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=12)


def keys(count):
    return [f"s{place:03d}" for place in range(count)]


@settings(max_examples=80, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 70), seed=st.text(max_size=8))
def test_every_update_is_in_one_bucket_of_fair_size(count, size, seed):
    groups = buckets(keys(count), size, seed)
    assert sorted(place for group in groups for place in group) == list(range(count))
    sizes = [len(group) for group in groups]
    assert len(sizes) == -(-count // size)
    assert 1 <= max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_buckets_follow_from_seed_and_keys_alone():
    assert buckets(keys(8), 3, "seed") == [[0, 5, 6], [1, 3, 4], [2, 7]]
    assert buckets(keys(8), 3, "seed") != buckets(keys(8), 3, "another seed")


def test_buckets_do_not_depend_on_the_order_of_shards():
    shards = keys(9)
    backwards = shards[::-1]
    named = [{shards[place] for place in group} for group in buckets(shards, 2, "seed")]
    assert named == [{backwards[place] for place in group} for group in buckets(backwards, 2, "seed")]


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, size=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_the_geometry_is_that_of_the_buckets_means(weights, size, seed):
    *changes, reference = honest(len(weights) + 1, 1.0, seed)
    changes, weights = np.array(changes), np.array(weights)
    groups = buckets(keys(len(weights)), size, "seed")
    means = np.array([np.average(changes[group], axis=0, weights=weights[group]) for group in groups])
    totals = [weights[group].sum() for group in groups]
    found, wanted = (
        geometry_of_buckets(geometry(changes, weights, reference), groups),
        geometry(means, totals, reference),
    )
    np.testing.assert_allclose(found.gram, wanted.gram, atol=1e-12)
    np.testing.assert_allclose(found.weights, wanted.weights, rtol=1e-12)
    np.testing.assert_allclose(found.reference, wanted.reference, atol=1e-12)
    assert found.reference_square == wanted.reference_square


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, size=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_coefficients_of_buckets_and_of_members_stand_for_the_same_change(weights, size, seed):
    changes, weights = honest(len(weights), 1.0, seed), np.array(weights) / sum(weights)
    groups = buckets(keys(len(weights)), size, "seed")
    coefficients = np.random.default_rng(seed).uniform(size=len(groups))
    means = np.array([np.average(changes[group], axis=0, weights=weights[group]) for group in groups])
    members = coefficients_of_members(coefficients, weights, groups)
    np.testing.assert_allclose(members @ changes, coefficients @ means, atol=1e-12)


def test_a_bucket_is_false_when_one_of_its_updates_is():
    assert settings_of_buckets(RobustSpec(tolerated=0.2, bucket_size=2)).tolerated == 0.4
    assert settings_of_buckets(RobustSpec()) == RobustSpec()
