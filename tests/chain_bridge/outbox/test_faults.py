"""Lost answers, lost requests, failed blocks and chains that go away: nothing is lost and nothing happens twice."""

import pytest

from chain_bridge.client import fees
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from chain_bridge.errors import (
    ChainReset,
    ChainUnreachable,
    OutcomeUnknown,
    TransactionFailed,
)
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox

# Each test starts servers of its own.
pytestmark = pytest.mark.slow


def test_a_chain_that_is_down_leaves_everything_waiting(node, server, chain, path, open_node, record, stake, states):
    port = server[-1].port
    server[-1].stop()
    record(node, 1, 2)
    with pytest.raises(ChainUnreachable):
        node.flush()
    with pytest.raises(ChainUnreachable):
        node.flush(patience_seconds=0.2)
    assert states(node, 1, 2) == ["waiting", "waiting"]
    late = open_node(Outbox(path))
    record(late, 4)
    server.append(Server(chain, port))
    assert late.flush(patience_seconds=30).undecided == 0
    assert stake(late) == 7


def test_what_a_caller_was_told_did_not_happen_does_not(node, server, chain, stake):
    port = server[-1].port
    server[-1].stop()
    with pytest.raises(ChainUnreachable):
        node.add_stake(1)
    assert node.backlog().undecided == 0
    server.append(Server(chain, port))
    node.flush(patience_seconds=30)
    assert stake(node) == 0


@pytest.mark.parametrize("fault", ["lost answer", "doubled"])
def test_a_lost_answer_is_looked_up(node, faults, fault, record, stake):
    record(node, 1, 2)
    faults.next = [fault]
    assert node.flush().undecided == 0
    assert stake(node) == 3
    assert faults.taken == [node.recorded("add-1").tx.hash]


def test_a_lost_request_is_handed_over_again_as_it_was(node, faults, open_node, path, record, stake, states):
    record(node, 1, 2)
    faults.next = ["lost request"]
    with pytest.raises(OutcomeUnknown) as caught:
        node.flush()
    assert states(node, 1, 2) == ["signed", "signed"]
    restarted = open_node(Outbox(path))
    assert restarted.flush().undecided == 0
    assert faults.taken == [caught.value.hash]
    assert stake(restarted) == 3


def test_a_write_whose_outcome_is_unknown_is_found_out_later(node, faults, stake):
    faults.next = ["lost request"]
    with pytest.raises(OutcomeUnknown):
        node.add_stake(1)
    assert node.backlog().signed == 1
    node.heartbeat()
    assert (stake(node), node.backlog().undecided) == (1, 0)


def test_what_timed_out_is_signed_anew(node, faults, operator, open_node, record, stake):
    record(node, 1)
    faults.next = ["lost request"]
    with pytest.raises(OutcomeUnknown) as caught:
        node.flush()
    for number in range(node.network.timeout_blocks):
        operator.create_job(f"block {number}", "spec", "data", 1, 1, reward=1, lease_seconds=60, escrow=2)
    assert open_node().flush().undecided == 0
    assert stake(node) == 1
    assert caught.value.hash not in faults.taken


def test_what_lost_its_sequence_is_signed_anew(node, faults, network, node_key, open_node, record, stake):
    record(node, 1)
    faults.next = ["lost request"]
    with pytest.raises(OutcomeUnknown) as caught:
        node.flush()
    with Ledger(network, node_key) as other:
        other.heartbeat()
    assert open_node().flush().undecided == 0
    assert stake(node) == 1
    assert caught.value.hash not in faults.taken


def test_one_that_landed_unseen_is_not_sent_again(node, faults, chain, path, record, stake):
    """The answer is lost, the index does not know the hash, the account's sequence has passed: the blocks tell."""
    record(node, 1)
    faults.next = ["lost answer"]
    faults.hidden = True
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            node.flush()
    assert len(faults.taken) == 1
    faults.hidden = False
    assert node.flush().undecided == 0
    assert (stake(node), len(faults.taken)) == (1, 1)


def test_a_transaction_that_fails_in_its_block_is_tried_message_by_message(node, monkeypatch, record, stake):
    record(node, 1, 2)
    factors = [0.5]
    monkeypatch.setattr(fees, "gas_limit", lambda used: int(used * (factors.pop() if factors else 1.4)))
    assert node.flush().undecided == 0
    assert stake(node) == 3
    assert node.recorded("add-1").tx.hash != node.recorded("add-2").tx.hash


def test_a_message_that_always_fails_is_refused_in_the_end(node, monkeypatch, record, stake):
    record(node, 1)
    monkeypatch.setattr(fees, "GAS_FACTOR", 0.5)
    assert node.flush().refused == 1
    assert isinstance(node.recorded("add-1").error, TransactionFailed)
    assert stake(node) == 0


def test_a_reset_chain_is_noticed_and_nothing_is_sent_to_it(node, server, tmp_path, clock, path, open_node, record):
    record(node, 1)
    node.flush()
    record(node, 2, 4)
    port = server[-1].port
    server[-1].stop()
    home = tmp_path / "other-chain"
    home.mkdir(mode=0o700)
    other = Chain(home, Settings("atlas-test"), clock)
    try:
        server.append(Server(other, port))
        restarted = open_node(Outbox(path))
        with pytest.raises(ChainReset, match=r"it was reset, or its newest blocks were lost.* 2 message"):
            restarted.flush(patience_seconds=30)
        assert [entry.state for entry in Outbox(path).entries()] == ["landed", "orphaned", "orphaned"]
        assert restarted.recorded("add-1") is None, "a key of the old chain is free on the new one"
        assert record(restarted, 1)[0].state == "waiting"
        server[-1].stop()
    finally:
        other.close()


def test_messages_for_another_contract_are_set_aside(node, path, record, stake):
    record(node, 1)
    Outbox(path).record("atlas1gone", "old", "heartbeat", {})
    with pytest.raises(ChainReset, match=r"Set aside as orphaned and not sent: 1 message .* for another contract"):
        node.flush()
    assert node.flush().orphaned == 1
    assert stake(node) == 1
