"""Results of a submitted round are disputed, and what that costs whom."""

import json

import pytest

from atlas.data.merkle import merkle_proof, merkle_root
from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.errors import ContractRefused
from tests.support.chain.ledger_steps import BOND, CID, REWARD, STAKE, balanced, create_job, own


def complete(operator, node, job, round_=1):
    operator.assign_batch(job, round_, CID, [Assignment(0, own(node).id, 1), Assignment(1, own(node).id, 1)])
    operator.complete_batch(job, round_, [SlotAttempt(0, 1), SlotAttempt(1, 1)])


def leaf(operator, node, job, index):
    record = {
        "attempt": 1,
        "node_id": own(node).id,
        "receipt": CID,
        "result": CID,
        "shard": CID if index == 0 else None,
        "slot": index,
    }
    return json.dumps(
        {
            "checkpoint": CID,
            "contract": operator.contract,
            "index": index,
            "job_id": job,
            "leaf_count": 2,
            "record": record,
            "round": 1,
        },
        separators=(",", ":"),
    ).encode()


def proof(leaves, index):
    return [step.sibling for step in merkle_proof(leaves, index)]


@pytest.fixture
def disputed(operator, node):
    """A submitted round: its job and its leaves."""
    job = create_job(operator)
    complete(operator, node, job)
    leaves = [leaf(operator, node, job, index) for index in range(2)]
    operator.submit_round(job, 1, merkle_root(leaves), 2, CID, CID, [Share(own(node).id, 2, 10_000)])
    return job, leaves


def test_an_upheld_challenge_costs_stake_and_pay(operator, node, disputed, rich, clock):
    job, leaves = disputed
    watcher = rich("watcher")
    watcher.challenge(job, 1, 1, leaves[1], proof(leaves, 1), CID, bond=BOND)
    (found,) = operator.challenges(job, 1)
    assert operator.challenge_at(job, 1, 1) == found
    assert (found.challenger, found.bond, found.slot, found.state) == (watcher.address, BOND, 1, "open")
    assert operator.round(job, 1).open_challenges == 1
    clock.advance(10)
    with pytest.raises(ContractRefused, match="1 open challenges"):
        operator.settle(job, 1)
    operator.resolve_challenge(job, 1, 1, upheld=True)
    assert operator.challenge_at(job, 1, 1).state == "upheld"
    assert operator.round(job, 1).struck == [(own(node).id, 1)]
    assert (own(node).stake, own(node).reputation) == (STAKE - 100, 52)
    assert watcher.credit(watcher.address) == BOND
    operator.settle(job, 1)
    assert node.credit(node.address) == REWARD
    assert balanced(operator)


def test_a_challenge_that_nobody_decides_is_dismissed(operator, disputed, rich, clock):
    job, leaves = disputed
    watcher = rich("watcher")
    watcher.challenge(job, 1, 0, leaves[0], proof(leaves, 0), CID, bond=BOND)
    with pytest.raises(ContractRefused, match="can be dismissed from"):
        watcher.dismiss_challenge(job, 1, 0)
    clock.advance(20)
    watcher.dismiss_challenge(job, 1, 0)
    assert watcher.credit(watcher.address) == BOND
    operator.settle(job, 1)


def test_slashed_stake_beyond_the_reward_is_the_treasurys(operator, node, disputed, rich, chain):
    job, leaves = disputed
    node.add_stake(STAKE)
    operator.challenge(job, 1, 0, leaves[0], proof(leaves, 0), CID, bond=BOND)
    operator.resolve_challenge(job, 1, 0, upheld=True)
    assert operator.totals().treasury == 200 - REWARD
    heir = rich("heir")
    before = heir.balance(heir.address)
    operator.withdraw_treasury(heir.address, 60)
    assert heir.balance(heir.address) == before + 60
    assert operator.totals().treasury == 40
    assert balanced(operator)


def test_a_submission_is_rolled_back_and_made_again(operator, node, disputed):
    job, leaves = disputed
    operator.rollback_round(job, 1)
    assert operator.round(job, 1) is None
    operator.submit_round(job, 1, merkle_root(leaves), 2, CID, CID, [Share(own(node).id, 2, 10_000)])
    assert [found.round for found in operator.rounds(job)] == [1]
