"""Each filter refuses exactly what it names, and an unknown value refuses nobody."""

import pytest

from chain_bridge.client.messages import Node
from resources.placement.filters import CONTRACT, FILTERS, Candidate, Needs, obstacle

NEEDS = Needs(now=1050, heartbeat_seconds=60, reward=100, memory=2**30, revoked=["atlas1revoked"])


def node(**changes) -> Node:
    values = {
        "id": 1,
        "owner": "atlas1one",
        "kind": "compute",
        "capacity": 2,
        "used": 0,
        "stake": 0,
        "unbonding": [],
        "jailed_until": 0,
        "public_key": None,
        "reputation": 100,
        "last_seen": 1000,
        "status": "active",
        "manifest": "bafy",
    }
    return Node.model_validate({**values, **changes})


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(node()),
        Candidate(node(used=2)),
        Candidate(node(last_seen=990), price=100, slot_memory=2**30),
        Candidate(node(reputation=1), price=0, slot_memory=2**40),
    ],
    ids=["nothing is known", "full", "at every limit", "beyond every limit"],
)
def test_a_node_that_meets_the_needs_fits(candidate):
    assert obstacle(candidate, NEEDS) is None


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (Candidate(node(kind="storage")), "its role is storage"),
        (Candidate(node(status="jailed")), "it is jailed on chain"),
        (Candidate(node(reputation=0)), "its reputation is 0"),
        (Candidate(node(last_seen=989)), "its last heartbeat was 61 s ago, the limit is 60 s"),
        (Candidate(node(), price=101), "its price is 101 per task, and the job pays 100"),
        (Candidate(node(owner="atlas1revoked")), "it is revoked in the key ring of the data"),
        (Candidate(node(), slot_memory=2**29), "it has 0.50 GiB per task, and a task takes about 1.00 GiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_that_does_not_is_refused_with_the_reason(candidate, reason):
    assert obstacle(candidate, NEEDS) == reason


def test_unknown_memory_of_a_task_refuses_nobody():
    assert obstacle(Candidate(node(), slot_memory=1), Needs(now=1050, heartbeat_seconds=60)) is None


def test_the_first_reason_counts_and_each_filter_can_be_left_out():
    bad = Candidate(node(kind="storage", reputation=0), price=101)
    assert obstacle(bad, NEEDS) == "its role is storage"
    assert obstacle(bad, NEEDS, FILTERS[2:]) == "its reputation is 0"
    assert obstacle(Candidate(node(), price=101), NEEDS, CONTRACT) is None
