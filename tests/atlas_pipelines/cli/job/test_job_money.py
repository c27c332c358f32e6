"""`atlas job top-up | cancel | close` on a real chain."""

import time

import pytest

from atlas.content.format.cid import cid_of_bytes
from chain_bridge.client.messages import Assignment

pytestmark = [pytest.mark.slow, pytest.mark.system]
CID = cid_of_bytes(b"any")


@pytest.fixture
def atlas(atlas_on_chain):
    """Run `atlas job …` on the chain."""
    return lambda *arguments: atlas_on_chain("job", *arguments)


def test_a_top_up_is_paid_once_under_its_key(atlas, open_job, facts, refusal):
    open_job("topped")
    first = facts(atlas("top-up", "topped", "50", "--key", "k1", "--json"))
    assert (first["state"], first["deposited"]) == ("open", 250)
    again = facts(atlas("top-up", "topped", "50", "--key", "k1", "--json"))
    assert (again["deposited"], again["transaction"]) == (250, first["transaction"])
    assert facts(atlas("top-up", "topped", "50", "--json"))["deposited"] == 300
    assert "k1" in refusal(atlas("top-up", "topped", "51", "--key", "k1"))


def test_a_cancelled_job_gives_its_free_escrow_back_and_is_closed(atlas, open_job, facts, refusal):
    row = open_job("unwanted")
    before = facts(atlas("top-up", "unwanted", "1", "--json"))["credit"]
    cancelled = facts(atlas("cancel", "unwanted", "--json"))
    assert (cancelled["job_id"], cancelled["state"], cancelled["refunded"]) == (row.job_id, "cancelled", 201)
    assert cancelled["credit"] == before + 201
    assert refusal(atlas("top-up", "unwanted", "1"))
    assert "is closed" in atlas("close", "unwanted").stdout


def test_a_job_whose_node_is_gone_is_closed(atlas, open_job, facts, refusal, operator_ledger, node_on_chain):
    live, dead = open_job("live"), open_job("dead", lease_seconds=1)
    for row in (live, dead):
        operator_ledger.assign_batch(row.job_id, 1, CID, [Assignment(0, node_on_chain, 1)])
        assert facts(atlas("cancel", row.name, "--json"))["reserved"] == 100
    while operator_ledger.lease(dead.job_id, 1, 0).live:
        time.sleep(0.1)
    closed = facts(atlas("close", "dead", "--json"))
    assert (closed["state"], closed["reserved"], closed["refunded"]) == ("closed", 0, 200)
    assert operator_ledger.lease(dead.job_id, 1, 0).state == "expired"
    assert "100" in refusal(atlas("close", "live"))


def test_an_unknown_job_is_named(atlas, refusal):
    for arguments in (["cancel", "nope"], ["close", "nope"], ["top-up", "nope", "1"]):
        assert "'nope'" in refusal(atlas(*arguments))
