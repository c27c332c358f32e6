"""What a node's owner is told about stake, jail, fees and rewards."""

from pathlib import Path

import pytest

from chain_bridge.client.messages import Job, Node, Round
from chain_bridge.client.network import Network
from node_agent.chain.chain import insufficient_funds_advice
from node_agent.chain.earnings import round_earning
from node_agent.chain.standing import describe_stake, describe_standing, jail_advice
from node_agent.home.config import NodeHome


def node(**changes: object) -> Node:
    fields = {"id": 3, "owner": "atlas1n", "kind": "compute", "capacity": 8, "used": 2, "stake": 500, "unbonding": []}
    rest = {"reputation": 90, "last_seen": 0, "status": "active", "jailed_until": 0, "manifest": "bafy"}
    return Node.model_validate({**fields, **rest, "public_key": None, **changes})


def test_standing_and_stake_are_told_in_a_line_each() -> None:
    assert describe_standing(node(), 0) == "node 3, active, reputation 90, 2 of 8 tasks"
    parts = [{"amount": 7, "release_at": 10}, {"amount": 8, "release_at": 86_400}]
    assert describe_stake(node(unbonding=parts), "uatl", 10) == (
        "stake 500 uatl; 7 uatl can be claimed; 8 uatl bound until 1970-01-02 00:00:00Z"
    )


def test_a_jailed_node_is_told_until_when_and_how_to_get_free() -> None:
    jailed = node(status="jailed", jailed_until=86_400, reputation=0)
    assert "jailed until 1970-01-02" in describe_standing(jailed, 86_399)
    assert "may be freed" in describe_standing(jailed, 86_400)
    assert "atlas-node unjail --home /node" in jail_advice(jailed, NodeHome(Path("/node")))


@pytest.mark.parametrize(
    ("balance", "stake", "changes", "told", "untold"),
    [
        (3, 10, {}, ["holds 3 uatl", "at least 7 more"], ["grant"]),
        (0, 0, {"gas_price": 0.1}, ["atlas chain grant atlas1n", "fee_granter"], ["stake"]),
        (0, 10, {"gas_price": 0.1}, ["at least 10 more", "atlas chain grant atlas1n"], []),
        (0, 0, {"gas_price": 0.1, "fee_granter": "atlas1op"}, ["atlas1op", "atlas chain grant atlas1n"], ["config"]),
    ],
)
def test_a_node_that_cannot_pay_is_told_what_to_do(balance, stake, changes, told, untold) -> None:
    network = Network(chain_id="test", url="grpc+http://127.0.0.1:1", **changes)
    advice = insufficient_funds_advice("atlas1n", balance, stake, network)
    assert all(words in advice for words in told), advice
    assert not any(words in advice for words in untold), advice


JOB = Job(
    id=7, owner="atlas1o", key="k", spec="s", dataset="d", shards=2, rounds=1, reward=100, deposited=300, reserved=0,
    paid=0, refunded=0, lease_seconds=60, state="open",
)  # fmt: skip


def outcome(**changes: object) -> Round:
    shares = [{"node": 3, "count": 2, "bps": 7000}, {"node": 4, "count": 1, "bps": 3000}]
    fields = {"job": 7, "round": 1, "root": "", "leaf_count": 3, "checkpoint": "c", "evidence": "e"}
    rest = {"per_node": shares, "submitted_at": 1, "settle_from": 50, "settled_at": None, "open_challenges": 0}
    return Round.model_validate({**fields, **rest, "struck": [], **changes})


def test_a_round_brings_its_part_of_the_pool_less_what_was_struck() -> None:
    open_round = round_earning(JOB, 1, 2, None, 3)
    assert (open_round.state, open_round.amount) == ("open", None)
    due = round_earning(JOB, 1, 2, outcome(), 3)
    assert (due.state, due.amount, due.settle_from) == ("due", 210, 50)
    settled = round_earning(JOB, 1, 2, outcome(settled_at=60, struck=[[3, 1]]), 3)
    assert (settled.state, settled.amount) == ("credited", 105)
    assert round_earning(JOB, 1, 2, outcome(), 9).amount == 0
