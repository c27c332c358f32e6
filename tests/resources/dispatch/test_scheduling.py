"""Who gets which slot: never more than fits, evenly, and away from who failed."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.client.messages import Node
from resources.dispatch.scheduling import able_nodes, eligible_nodes, plan_assignments


def node(number: int, capacity: int = 4, used: int = 0, reputation: int = 100, **changes) -> Node:
    values = {
        "id": number,
        "owner": f"atlas1{number}",
        "kind": "compute",
        "capacity": capacity,
        "used": used,
        "stake": 0,
        "unbonding": [],
        "jailed_until": 0,
        "public_key": None,
        "reputation": reputation,
        "last_seen": 1000,
        "status": "active",
        "manifest": "bafy",
    }
    return Node.model_validate({**values, **changes})


fleets = st.lists(
    st.builds(
        lambda capacity, used, reputation: (capacity, min(used, capacity), reputation),
        st.integers(1, 6),
        st.integers(0, 6),
        st.integers(1, 1000),
    ),
    max_size=6,
).map(lambda rows: [node(number, *row) for number, row in enumerate(rows, 1)])
slots = st.sets(st.integers(0, 30), max_size=20)
avoided = st.dictionaries(st.integers(0, 30), st.sets(st.integers(1, 6), max_size=3))
bound = st.dictionaries(st.integers(0, 30), st.integers(1, 8).map("atlas1{}".format))


@given(slots, fleets, avoided, bound)
def test_every_slot_gets_at_most_one_node_and_no_node_more_than_fits(wanted, nodes, avoid, only):
    plan = plan_assignments(sorted(wanted), nodes, avoid, only)
    assert len({slot for slot, _ in plan}) == len(plan)
    assert {slot for slot, _ in plan} <= wanted
    for one in nodes:
        assert one.used + sum(chosen == one.id for _, chosen in plan) <= one.capacity


@given(slots, fleets, avoided)
def test_an_avoided_node_is_taken_only_where_no_other_is_eligible(wanted, nodes, avoid):
    for slot, chosen in plan_assignments(sorted(wanted), nodes, avoid, {}):
        if chosen in avoid.get(slot, ()):
            assert {one.id for one in nodes} <= avoid[slot]


@given(slots, fleets)
def test_nothing_waits_while_there_is_room(wanted, nodes):
    room = sum(one.capacity - one.used for one in nodes)
    assert len(plan_assignments(sorted(wanted), nodes, {}, {})) == min(len(wanted), room)


@given(slots, fleets, avoided, bound, st.randoms())
def test_the_plan_does_not_depend_on_the_order_of_what_it_is_given(wanted, nodes, avoid, only, random):
    shuffled_nodes, shuffled_slots = list(nodes), list(wanted)
    random.shuffle(shuffled_nodes)
    random.shuffle(shuffled_slots)
    plan = plan_assignments(shuffled_slots, shuffled_nodes, avoid, only)
    assert plan == plan_assignments(sorted(wanted), nodes, avoid, only)


@given(slots, fleets, avoided, bound)
def test_a_slot_whose_data_one_node_has_goes_there_or_nowhere(wanted, nodes, avoid, only):
    plan = dict(plan_assignments(sorted(wanted), nodes, avoid, only))
    owners = {one.id: one.owner for one in nodes}
    assert all(owners[plan[slot]] == only[slot] for slot in plan if slot in only)


@given(slots, fleets, avoided, bound)
def test_a_slot_that_only_one_node_can_do_waits_for_no_other_slot_and_for_no_grudge(wanted, nodes, avoid, only):
    plan = dict(plan_assignments(sorted(wanted), nodes, avoid, only))
    for one in nodes:
        asking = sorted(slot for slot in wanted if only.get(slot) == one.owner)
        given_to = [slot for slot in asking if slot in plan]
        assert given_to == asking[: one.capacity - one.used]


@given(slots, fleets, avoided)
def test_slots_that_are_bound_to_nobody_are_shared_out_as_ever(wanted, nodes, avoid):
    elsewhere = dict.fromkeys(range(31, 40), "atlas1elsewhere")
    plan = plan_assignments(sorted(wanted), nodes, avoid, {})
    assert plan_assignments([*wanted, *elsewhere], nodes, avoid, elsewhere) == plan


def test_able_are_all_nodes_or_the_one_with_the_data():
    nodes = [node(1), node(2)]
    assert able_nodes(nodes, None) == nodes
    assert able_nodes(nodes, "atlas12") == nodes[1:]
    assert able_nodes(nodes, "atlas13") == []


def test_equal_nodes_share_evenly():
    plan = plan_assignments(range(6), [node(1), node(2), node(3)], {}, {})
    assert plan == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)]


@given(slots, fleets)
def test_each_node_has_its_slots_side_by_side(wanted, nodes):
    given_to = [chosen for _, chosen in plan_assignments(sorted(wanted), nodes, {}, {})]
    changes = sum(before != after for before, after in pairwise(given_to))
    assert changes == max(len(set(given_to)) - 1, 0)


@given(slots, fleets, avoided)
def test_load_is_shared_as_if_each_slot_had_been_given_out_alone(wanted, nodes, avoid):
    counts = Counter(chosen for _, chosen in plan_assignments(sorted(wanted), nodes, avoid, {}))
    used = {one.id: one.used + counts[one.id] for one in nodes}
    open_to_all = not any(avoid.get(slot) for slot in wanted)
    for busy in nodes:
        for idle in nodes:
            if open_to_all and counts[busy.id] and used[idle.id] < idle.capacity:
                assert Fraction(used[busy.id] - 1, busy.capacity) <= Fraction(used[idle.id], idle.capacity)


def test_a_larger_node_gets_more_and_repute_breaks_ties():
    assert plan_assignments(range(4), [node(1, capacity=1), node(2, capacity=8)], {}, {}) == [
        (0, 1),
        (1, 2),
        (2, 2),
        (3, 2),
    ]
    assert plan_assignments([0], [node(1, reputation=99), node(2, reputation=100)], {}, {}) == [(0, 2)]


def test_only_nodes_that_the_contract_would_take_are_eligible():
    fit = node(1)
    unfit = [
        node(2, kind="storage"),
        node(3, status="jailed"),
        node(4, reputation=0),
        node(5, last_seen=969),
    ]
    assert eligible_nodes([*unfit, fit], now=1000.0, heartbeat_seconds=30) == [fit]
    assert eligible_nodes([node(5, last_seen=970)], now=1000.0, heartbeat_seconds=30) != []
