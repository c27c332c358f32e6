"""What is wrong is told by a typed error, and changes nothing."""

import hashlib

import pytest
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin

from atlas.data.merkle import merkle_root
from chain_bridge.client.connection import Connection
from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.client.sender import Sender, contract_message
from chain_bridge.errors import (
    ContractRefused,
    FeeTooHigh,
    InsufficientFunds,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from chain_bridge.ledger import Ledger

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
LEAVES = [b"first", b"second"]


@pytest.fixture
def job(operator, open_ledger):
    """A job with one submitted round of node 1; slot 0 of its second round is leased at attempt 1."""
    node = open_ledger("node").register_node("compute", 4, CID)
    number = operator.create_job("job", CID, CID, 1, 2, 100, lease_seconds=600, escrow=400)
    operator.assign_batch(number, 1, CID, [Assignment(slot, node, 1) for slot in range(2)])
    operator.complete_batch(number, 1, [SlotAttempt(slot, 1) for slot in range(2)])
    operator.submit_round(number, 1, merkle_root(LEAVES), 2, CID, CID, [Share(node, 2, 10_000)])
    operator.assign_batch(number, 2, CID, [Assignment(0, node, 1)])
    return number


@pytest.fixture
def unchanged(operator, job, chain, open_ledger):
    """Fails the test when the contract or anybody's balance has changed at its end."""

    def picture():
        return (
            operator.totals(),
            operator.nodes(),
            operator.jobs(),
            operator.rounds(job),
            operator.leases(job, 2),
            operator.challenges(job, 1),
            operator.balance(operator.address),
            operator.balance(operator.contract),
        )

    before = picture()
    yield
    assert picture() == before


def refused(action, *arguments, **named):
    with pytest.raises(ContractRefused) as caught:
        action(*arguments, **named)
    return caught.value.reason


@pytest.mark.usefixtures("unchanged")
def test_a_malformed_address(operator):
    refused(operator.withdraw_for, ["nobody"])
    refused(operator.withdraw_treasury, "atlas1qqqq", 1)
    refused(operator.update_ownership, "transfer_ownership", "cosmos1zzz")
    with pytest.raises(TransactionFailed, match="bech32"):
        operator.balance("nobody")


@pytest.mark.usefixtures("unchanged")
def test_a_foreign_denomination(operator, operator_key, network, chain):
    connection = Connection(network, 10)
    sender = Sender(connection, operator_key, 5)
    message = contract_message(sender, operator.contract, "top_up", {"job": 1, "key": "more"}, 0)
    message.funds.append(Coin(denom="ufake", amount="5"))
    with pytest.raises(InsufficientFunds, match="ufake"):
        sender.send([message])
    connection.close()


@pytest.mark.usefixtures("unchanged")
def test_a_wrong_sender(open_ledger):
    stranger, node = open_ledger("stranger"), open_ledger("node")
    assert "has no node" in refused(stranger.heartbeat)
    assert "is not the owner of job 1" in refused(node.close_job, 1)
    assert "is not the owner of job 1" in refused(node.rollback_round, 1, 1)
    assert "is not the owner of job 1" in refused(node.assign_batch, 1, 2, CID, [Assignment(1, 1, 1)])
    assert "owner" in refused(node.pause, True)
    assert "owner" in refused(node.resolve_challenge, 1, 1, 0, upheld=True)


@pytest.mark.usefixtures("unchanged")
def test_a_replayed_key(operator):
    assert refused(operator.create_job, "job", CID, CID, 1, 2, 100, 600, 400) == "job key job is already used by job 1"


@pytest.mark.usefixtures("unchanged")
def test_a_stale_attempt(operator):
    assert "is at attempt 1, not 2" in refused(operator.complete_batch, 1, 2, [SlotAttempt(0, 2)])
    assert "already assigned" in refused(operator.assign_batch, 1, 2, CID, [Assignment(0, 1, 1)])


@pytest.mark.usefixtures("unchanged")
def test_a_forged_proof(operator):
    sibling = hashlib.sha256(b"forged").digest()
    for leaf, proof in ((LEAVES[0], [sibling]), (LEAVES[0], []), (b"other", [hashlib.sha256(b"\0second").digest()])):
        assert "the proof does not lead from the leaf" in refused(operator.challenge, 1, 1, 0, leaf, proof, CID)


def test_a_leaf_that_is_no_record_makes_the_submission_void(operator, job):
    operator.challenge(job, 1, 0, LEAVES[0], [hashlib.sha256(b"\0second").digest()], CID)
    assert operator.round(job, 1) is None


@pytest.mark.parametrize("caps", [{"max_fee": 10}, {"max_gas": 1000}])
def test_a_fee_above_the_cap(operator, network, operator_key, caps):
    capped = network.model_copy(update={"gas_price": 0.025, **caps})
    with Ledger(capped, operator_key) as ledger, pytest.raises(FeeTooHigh, match="the cap of atlas-test is"):
        ledger.create_job("job", CID, CID, 1, 1, 1, 60, 2)
    assert operator.jobs() == []


def test_an_unknown_chain_id(network, operator_key, operator):
    other = network.model_copy(update={"chain_id": "atlas-main"})
    with Ledger(other, operator_key) as ledger, pytest.raises(WrongChain, match="serves the chain atlas-test, not"):
        ledger.create_job("job", CID, CID, 1, 1, 1, 60, 2)
    assert operator.jobs() == []


def test_a_contract_of_another_version(operator, network, operator_key, monkeypatch):
    monkeypatch.setattr("chain_bridge.client.queries.CONTRACT_VERSION", "0.1")
    with Ledger(network, operator_key) as ledger, pytest.raises(WrongContract, match=r"expected atlas-pipelines 0\.1"):
        ledger.create_job("job", CID, CID, 1, 1, 1, 60, 2)
    monkeypatch.undo()
    assert operator.jobs() == []
