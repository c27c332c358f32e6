"""The arithmetic of a payout: nothing lost, nobody favoured, the same numbers for everybody."""

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.settlement import DivisionError, PaidTask, amounts, apportion, divide_round

NODES = st.integers(1, 12)
CONTRIBUTIONS = st.integers(0, 10**13)
TRAINING = st.lists(st.builds(PaidTask, NODES, CONTRIBUTIONS), min_size=1, max_size=30)
TASKS = st.lists(st.builds(PaidTask, NODES, st.none() | CONTRIBUTIONS), min_size=1, max_size=30)
POOLS = st.integers(0, 2**128 - 1)


def parts(*bps):
    return [Share(node, 1, share) for node, share in enumerate(bps, 1)]


@given(TASKS)
def test_the_parts_are_whole_and_name_every_node_with_its_count(tasks):
    found = divide_round(tasks)
    assert sum(part.bps for part in found) == 10_000
    assert all(part.bps >= 0 for part in found)
    assert {part.node: part.count for part in found} == Counter(task.node for task in tasks)
    assert [part.node for part in found] == sorted({task.node for task in tasks})


@given(TASKS, st.randoms())
def test_the_order_of_the_tasks_does_not_matter(tasks, random):
    shuffled = list(tasks)
    random.shuffle(shuffled)
    assert divide_round(shuffled) == divide_round(tasks)


@given(TRAINING, st.integers(0, 10**13))
def test_a_node_gains_nothing_by_cutting_its_task_in_two(tasks, cut):
    first, *others = tasks
    cut = min(cut, first.contribution)
    pieces = [PaidTask(first.node, cut), PaidTask(first.node, first.contribution - cut)]
    if sum(task.contribution for task in tasks):
        whole, split = divide_round(tasks), divide_round([*pieces, *others])
        assert {part.node: part.bps for part in whole} == {part.node: part.bps for part in split}


@given(st.lists(NODES, min_size=1, max_size=12, unique=True), st.integers(1, 10**13), POOLS)
def test_equal_contributions_are_paid_alike_to_within_a_basis_point(nodes, contribution, pool):
    found = divide_round([PaidTask(node, contribution) for node in nodes])
    assert max(part.bps for part in found) - min(part.bps for part in found) <= 1
    paid = apportion(pool, dict.fromkeys(nodes, Fraction(1)))
    assert max(paid.values()) - min(paid.values()) <= 1


@given(st.dictionaries(NODES, st.integers(1, 10**13), min_size=1))
def test_who_contributes_more_is_never_paid_less(contributions):
    found = divide_round([PaidTask(node, contribution) for node, contribution in contributions.items()])
    bps = {part.node: part.bps for part in found}
    by_contribution = sorted(contributions, key=lambda node: (contributions[node], -node))
    assert [bps[node] for node in by_contribution] == sorted(bps.values())


@pytest.mark.parametrize("contributions", [(1, 1, 1, 1), (7, 0, 0, 0), (1, 2, 3, 4)])
def test_the_evaluation_takes_exactly_its_own_reward(contributions):
    tasks = [PaidTask(node, contribution) for node, contribution in enumerate(contributions, 1)]
    assert divide_round([*tasks, PaidTask(9)])[-1] == Share(9, 1, 2_000)


def test_a_worked_example():
    """docs/read-a-settlement.md: four shards, one evaluation."""
    tasks = [PaidTask(1, 1200 * 1500), PaidTask(2, 800 * 1000), PaidTask(1, 1000 * 500), PaidTask(2, 900 * 0)]
    found = divide_round([*tasks, PaidTask(2)])
    assert found == [Share(1, 2, 5_935), Share(2, 3, 4_065)]
    assert amounts(500_000, found) == {1: 296_750, 2: 203_250}


def test_when_no_update_is_worth_anything_each_task_is_paid_alike():
    tasks = [PaidTask(1, 0), PaidTask(1, 0), PaidTask(2, 0), PaidTask(3)]
    assert [part.bps for part in divide_round(tasks)] == [5_000, 2_500, 2_500]


def test_numbers_beyond_any_float_are_exact():
    huge = 2**400
    found = divide_round([PaidTask(1, 3 * huge), PaidTask(2, huge)])
    assert [part.bps for part in found] == [7_500, 2_500]
    assert amounts(10**40 + 1, parts(5_000, 5_000)) == {1: 10**40 // 2 + 1, 2: 10**40 // 2}


@given(POOLS, TASKS)
def test_what_is_credited_is_the_whole_pool(pool, tasks):
    found = divide_round(tasks)
    paid = amounts(pool, found)
    assert sum(paid.values()) == pool
    for part in found:
        quota = Fraction(pool * part.bps, 10_000)
        assert quota - 1 < paid[part.node] < quota + 1


def test_the_leftover_goes_to_the_largest_remainders_and_then_to_the_lower_ids():
    assert amounts(10, parts(3_333, 3_333, 3_334)) == {1: 3, 2: 3, 3: 4}
    assert amounts(2, parts(3_334, 3_333, 3_333)) == {1: 1, 2: 1, 3: 0}
    assert amounts(1, parts(5_000, 5_000, 0)) == {1: 1, 2: 0, 3: 0}


def test_a_struck_task_is_not_paid():
    shares = [Share(1, 3, 5_000), Share(2, 2, 5_000)]
    assert amounts(1_001, shares, struck={1: 1}) == {1: 334, 2: 500}
    assert amounts(1_001, shares, struck={1: 3}) == {1: 0, 2: 500}


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(DivisionError, match="above zero"):
        divide_round([])
    with pytest.raises(DivisionError, match="is negative"):
        divide_round([PaidTask(1, -1)])


def test_the_contract_credits_just_these_amounts(operator, open_ledger, clock):
    """Twelve rounds of ten tasks over four nodes, at a reward that leaves units over."""
    rng, slots = random.Random(3), range(10)
    nodes = {(ledger := open_ledger(f"node-{name}")).register_node("compute", 10, "m"): ledger for name in "abcd"}
    reward = 33_337
    escrow = reward * len(slots) * 12
    job = operator.create_job("k", "spec", "dataset", 9, 12, reward, lease_seconds=3600, escrow=escrow)
    expected = dict.fromkeys(nodes, 0)
    for round_ in range(1, 13):
        tasks = [PaidTask(rng.choice(list(nodes)), rng.randrange(10**9)) for _ in slots[:9]] + [PaidTask(1)]
        parts = divide_round(tasks)
        for ledger in nodes.values():
            ledger.heartbeat()
        operator.assign_batch(job, round_, "plan", [Assignment(slot, tasks[slot].node, 1) for slot in slots])
        operator.complete_batch(job, round_, [SlotAttempt(slot, 1) for slot in slots])
        operator.submit_round(job, round_, bytes(32), len(slots), "checkpoint", "evidence", parts)
        clock.advance(10)
        operator.settle(job, round_)
        for node, amount in amounts(reward * len(slots), parts).items():
            expected[node] += amount
    assert {node: operator.credit(ledger.address) for node, ledger in nodes.items()} == expected
    assert operator.job(job).paid == escrow
