"""The areas of the contract beside the round, each from its first message to its last."""

import hashlib

import pytest

from chain_bridge.client.messages import Assignment, SlotAttempt
from chain_bridge.errors import ContractRefused
from tests.support.chain.ledger_steps import BOND, CID, REWARD, STAKE, balanced, create_job, own


def test_the_settings_are_those_of_the_deployment(operator):
    config = operator.config()
    assert (config.denom, config.min_stake, config.challenge_bond) == ("uatl", STAKE, BOND)
    assert (config.dispute_seconds, config.unbonding_seconds, config.jail_seconds) == (20, 100, 50)
    assert (config.abandon_seconds, config.audit_seconds, config.slash_bps, config.max_batch) == (200, 30, 1000, 50)
    assert not operator.paused()


def test_stake_comes_and_goes(node, operator, clock):
    node.add_stake(500)
    node.update_node(capacity=9)
    assert (own(node).stake, own(node).capacity) == (STAKE + 500, 9)
    node.withdraw_stake(300)
    (part,) = own(node).unbonding
    assert (part.amount, part.release_at) == (300, int(clock()) + 100)
    with pytest.raises(ContractRefused, match="no stake to claim"):
        node.claim_stake()
    clock.advance(100)
    node.claim_stake()
    assert node.credit(node.address) == 300
    node.withdraw()
    node.deregister_node()
    assert (own(node).status, own(node).stake) == ("retired", 0)
    assert balanced(operator)
    assert node.register_node("compute", 2, CID, stake=STAKE) == own(node).id
    assert own(node).status == "active"


def test_a_node_leaves_jail_with_new_stake(node, operator, clock):
    job = operator.create_job("wide", CID, CID, 30, 1, 1, lease_seconds=600, escrow=31)
    node.update_node(capacity=30)
    for _ in range(2):  # twenty expired leases of a start reputation of 100
        node.heartbeat()
        attempt = 1 + (operator.lease(job, 1, 0) is not None)
        operator.assign_batch(job, 1, CID, [Assignment(slot, own(node).id, attempt) for slot in range(10)])
        clock.advance(61)
        operator.expire_leases(job, 1, limit=50)
    assert (own(node).status, own(node).reputation, own(node).jailed_until) == ("jailed", 0, int(clock()) + 50)
    with pytest.raises(ContractRefused, match="is in jail until"):
        node.unjail(stake=STAKE)
    clock.advance(50)
    node.unjail(stake=STAKE)
    assert (own(node).status, own(node).reputation, own(node).stake) == ("active", 10, 2 * STAKE)
    assert balanced(operator)


def test_a_job_is_topped_up_and_cancelled(operator, genesis):
    job = create_job(operator)
    operator.top_up(job, "more", 50)
    with pytest.raises(ContractRefused, match="top-up key more was already used"):
        operator.top_up(job, "more", 50)
    assert operator.job(job).free == 450
    operator.cancel_job(job)
    assert (operator.job(job).state, operator.job(job).refunded) == ("cancelled", 450)
    operator.close_job(job)
    operator.withdraw()
    assert operator.balance(operator.address) == genesis


def complete(operator, node, job, round_=1):
    operator.assign_batch(job, round_, CID, [Assignment(0, own(node).id, 1), Assignment(1, own(node).id, 1)])
    operator.complete_batch(job, round_, [SlotAttempt(0, 1), SlotAttempt(1, 1)])


def test_nodes_claim_an_abandoned_round(operator, node, clock):
    job = create_job(operator)
    complete(operator, node, job)
    with pytest.raises(ContractRefused, match="counts as abandoned after"):
        node.claim_abandoned(job, 1)
    clock.advance(201)
    node.claim_abandoned(job, 1)
    assert node.credit(node.address) == 2 * REWARD
    before = node.balance(node.address)
    operator.withdraw_for([node.address])
    assert node.balance(node.address) == before + 2 * REWARD
    assert balanced(operator)


def test_storage_is_announced_audited_and_dropped(operator, rich, clock):
    keeper = rich("keeper")
    node = keeper.register_node("storage", 3, CID, stake=STAKE)
    keeper.announce_storage(["bafy-a", "bafy-b"])
    assert [(found.cid, found.node) for found in operator.holdings(node)] == [("bafy-a", node), ("bafy-b", node)]

    nonce = bytes(range(32))
    answer = hashlib.sha256(nonce + b"content").digest()
    operator.open_audit("bafy-a", node, nonce, hashlib.sha256(answer).digest())
    asked, _ = operator.holdings(node)
    assert (asked.audit.nonce, asked.audit.until, asked.proven_at) == (nonce, int(clock()) + 30, None)
    with pytest.raises(ContractRefused, match="does not prove"):
        keeper.answer_audit("bafy-a", bytes(32))
    keeper.answer_audit("bafy-a", answer)
    assert operator.holdings(node)[0].proven_at == int(clock())

    operator.open_audit("bafy-b", node, nonce, hashlib.sha256(answer).digest())
    clock.advance(30)
    operator.expire_audit("bafy-b", node)
    assert [found.cid for found in operator.holdings(node)] == ["bafy-a"]
    assert own(keeper).reputation == 95
    keeper.drop_storage(["bafy-a"])
    assert own(keeper).used == 0


def test_models_are_registered_promoted_and_deprecated(operator):
    job = create_job(operator)
    operator.register_model("tone", 1, CID, job)
    operator.register_model("tone", 2, CID, job, parent=CID, metrics="bafy-metrics")
    assert [model.version for model in operator.models("tone")] == [1, 2]
    assert [(model.parent, model.metrics) for model in operator.models("tone")][1] == (CID, "bafy-metrics")
    assert [model.version for model in operator.models(start_after=("tone", 1))] == [2]
    with pytest.raises(ContractRefused, match="already has a version 1"):
        operator.register_model("tone", 1, CID, job)
    operator.promote_model("tone", 1)
    operator.promote_model("tone", 2)
    assert [model.status for model in operator.models("tone")] == ["registered", "promoted"]
    operator.deprecate_model("tone", 2)
    assert [model.status for model in operator.models("tone")] == ["registered", "deprecated"]


def test_the_owner_changes_settings_and_stops_the_contract(operator, node):
    operator.update_config(min_stake=5, max_batch=10)
    assert (operator.config().min_stake, operator.config().max_batch) == (5, 10)
    assert operator.config().slash_bps == 1000
    operator.pause(True)
    assert operator.paused()
    with pytest.raises(ContractRefused, match="paused"):
        create_job(operator)
    node.heartbeat()
    operator.pause(False)
    create_job(operator)


def test_ownership_is_handed_over_in_two_steps(operator, open_ledger):
    other = open_ledger("other")
    operator.update_ownership("transfer_ownership", other.address)
    assert operator.ownership().owner == operator.address
    assert operator.ownership().pending_owner == other.address
    other.update_ownership("accept_ownership")
    assert operator.ownership().owner == other.address
    assert operator.ownership().pending_owner is None
