"""What must hold for every strategy, whatever the updates are, in the model's own weights."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.aggregation.strategies.registry import STRATEGIES

seeds = st.integers(0, 2**32 - 1)
lefts = st.sampled_from([0.0, 0.2, 0.9])
quick = settings(max_examples=15, deadline=None)
every = pytest.mark.parametrize("strategy", STRATEGIES)
RANK = 3


def make(laboratory, strategy, seed, left=0.2, nodes=4):
    """A round for a strategy; mixed ranks where it takes them."""
    chosen = STRATEGIES[strategy]
    ranks = tuple(RANK - (index + seed) % 2 if chosen.mixed_ranks else RANK for index in range(nodes))
    return laboratory.round(seed, ranks, RANK, left, frozen=chosen.frozen_factor(1 + seed % 2))


@every
@quick
@given(seeds, lefts, st.randoms(use_true_random=False))
def test_the_order_of_nodes_does_not_matter(laboratory, close, strategy, seed, left, random):
    one = make(laboratory, strategy, seed, left)
    order = random.sample(range(4), 4)
    other = replace(
        one, updates=[one.updates[index] for index in order], coefficients=[one.coefficients[index] for index in order]
    )
    close(laboratory.combine(strategy, other).change(), laboratory.combine(strategy, one).change())


@every
@quick
@given(seeds, lefts, st.integers(0, 3))
def test_a_node_may_be_split_in_two_with_half_the_weight(laboratory, close, strategy, seed, left, node):
    one = make(laboratory, strategy, seed, left)
    halved = [share / 2 if index == node else share for index, share in enumerate(one.coefficients)]
    other = replace(one, updates=[*one.updates, one.updates[node]], coefficients=[*halved, halved[node]])
    close(laboratory.combine(strategy, other).change(), laboratory.combine(strategy, one).change())


@every
@quick
@given(seeds, lefts, st.sampled_from([2.0**-20, 0.125, 3.0, 1000.0]))
def test_larger_factors_give_a_proportional_change(laboratory, close, strategy, seed, left, times):
    one = make(laboratory, strategy, seed, left)

    def larger(file):
        return {name: part if ".lora_A." in name else part * type(part.flat[0])(times) for name, part in file.items()}

    other = replace(one, base=larger(one.base), updates=[larger(file) for file in one.updates])
    expected = {name: part * times for name, part in laboratory.combine(strategy, one).change().items()}
    close(laboratory.combine(strategy, other).change(), expected)


@every
@quick
@given(seeds, st.integers(1, 5))
def test_equal_updates_give_that_update(laboratory, close, strategy, seed, nodes):
    one = make(laboratory, strategy, seed, left=0.0)
    update = one.updates[0]
    equal = replace(one, updates=[update] * nodes, coefficients=[1 / nodes] * nodes)
    alone = replace(one, updates=[update | {n: p for n, p in one.base.items() if n not in update}], coefficients=[1.0])
    close(laboratory.combine(strategy, equal).change(), alone.exact())


@every
@quick
@given(seeds)
def test_updates_without_a_share_change_nothing(laboratory, close, strategy, seed):
    one = make(laboratory, strategy, seed)
    silent = replace(one, coefficients=[0.0] * 4)
    whole = replace(one, updates=[one.base], coefficients=[1.0])
    close(laboratory.combine(strategy, silent).change(), whole.exact())


@every
@quick
@given(seeds)
def test_an_update_without_a_share_may_as_well_be_absent(laboratory, close, strategy, seed):
    one = make(laboratory, strategy, seed)
    total = sum(one.coefficients[1:])
    shares = [share / total for share in one.coefficients[1:]]
    silent = replace(one, coefficients=[0.0, *shares])
    absent = replace(one, updates=one.updates[1:], coefficients=shares)
    close(laboratory.combine(strategy, silent).change(), laboratory.combine(strategy, absent).change())


@pytest.mark.parametrize("strategy", [name for name, strategy in STRATEGIES.items() if strategy.flat])
@quick
@given(seeds, lefts)
def test_flat_strategies_give_the_mean_of_each_number(laboratory, close, strategy, seed, left):
    one = make(laboratory, strategy, seed, left)
    close(laboratory.combine(strategy, one).adapter, one.mean(), 1e-7)


@pytest.mark.parametrize("strategy", ["ffa", "rolora"])
@pytest.mark.parametrize("round_", [1, 2])
@quick
@given(seeds, lefts)
def test_with_a_frozen_factor_the_mean_of_the_other_is_exact(laboratory, close, strategy, round_, seed, left):
    frozen = STRATEGIES[strategy].frozen_factor(round_)
    one = laboratory.round(seed, left=left, frozen=frozen)
    whole = replace(one, updates=[one.base | update for update in one.updates])
    close(laboratory.combine(strategy, one).change(), whole.exact())


def test_the_plain_mean_of_both_factors_is_not_exact(laboratory, close):
    one = laboratory.round()
    with pytest.raises(AssertionError):
        close(laboratory.combine("fedavg", one).change(), one.exact(), 1e-2)


@pytest.mark.parametrize("strategy", ["stack", "fedex"])
@quick
@given(seeds, lefts, st.integers(1, 5))
def test_merged_factors_make_the_mean_exact(laboratory, close, strategy, seed, left, nodes):
    one = make(laboratory, strategy, seed, left, nodes)
    close(laboratory.combine(strategy, one).change(), one.exact())


def test_the_frozen_factors_take_turns():
    first_rounds = {name: [strategy.frozen_factor(n) for n in (1, 2, 3)] for name, strategy in STRATEGIES.items()}
    assert first_rounds == {
        "fedavg": [None] * 3,
        "ffa": ["A"] * 3,
        "rolora": ["A", "B", "A"],
        "stack": [None] * 3,
        "qr-svd": [None] * 3,
        "fedex": [None] * 3,
    }
