"""What is recorded lands in order, once, and in as few transactions as fit."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from chain_bridge.client import fees
from chain_bridge.errors import (
    ChainError,
    ContractRefused,
    FeeTooHigh,
    OutboxError,
    ReplayedKey,
)
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.file import read_backlog
from chain_bridge.outbox.outbox import Outbox


def test_what_waits_lands_in_order_in_one_transaction(node, chain, record, stake):
    entries = record(node, 1, 2, 4)
    assert [entry.state for entry in entries] == ["waiting"] * 3
    assert node.backlog().waiting == 3
    assert stake(node) == 0, "nothing is sent before the flush"
    sequence = chain.sequence(node.address)
    assert node.flush().undecided == 0
    assert stake(node) == 7
    assert chain.sequence(node.address) == sequence + 1
    outcomes = [node.recorded(f"add-{amount}").outcome() for amount in (1, 2, 4)]
    assert len({tx.hash for tx in outcomes}) == 1
    assert [tx.attribute("action") for tx in outcomes] == ["add_stake"] * 3
    assert [len(tx.attributes) for tx in outcomes] == [1, 1, 1], "each has its own events"


def test_a_key_serves_one_message_once(node, chain, record, stake):
    record(node, 1)
    node.flush()
    landed = node.recorded("add-1")
    sequence = chain.sequence(node.address)
    assert record(node, 1) == [landed]
    node.flush()
    assert (stake(node), chain.sequence(node.address)) == (1, sequence)
    for action in (lambda later: later.add_stake(2), lambda later: later.heartbeat()):
        with pytest.raises(ReplayedKey, match="The key add-1 already belongs to another message"):
            action(node.later("add-1"))
    assert node.recorded("add-1") == landed
    assert node.recorded("add-9") is None


def test_a_refusal_is_noted_and_does_not_hold_up_the_others(node, record, stake):
    record(node, 1)
    node.later("wrong").settle(99, 1)
    record(node, 2)
    assert node.flush().refused == 1
    assert stake(node) == 3
    refused = node.recorded("wrong")
    assert refused.state == "refused"
    assert isinstance(refused.error, ContractRefused)
    assert "99" in refused.error.reason
    with pytest.raises(ContractRefused):
        refused.outcome()
    assert node.later("wrong").settle(99, 1) == refused, "refused is refused, until another key asks"


def test_the_oldest_message_has_an_age(open_node, path, record):
    times = iter([1000.0, 1060.0])
    ledger = open_node(Outbox(path, clock=lambda: next(times, 1060.0)))
    ledger.register_node("compute", 1, "bafy")
    assert ledger.backlog().age(2000) == 0
    record(ledger, 1, 2)
    assert ledger.backlog().oldest_at == 1060.0
    assert ledger.backlog().age(1090.0) == 30.0
    assert read_backlog(path) == ledger.backlog()


def test_batches_stay_under_the_gas_cap(open_node, node, chain, record, stake):
    gas = fees.gas_limit(node.add_stake(8).gas_used)
    record(node, 1, 2, 4, 16, 32)
    sequence = chain.sequence(node.address)
    small = open_node(max_gas=gas * 3 // 2)
    assert small.flush().undecided == 0
    assert stake(small) == 63
    assert chain.sequence(node.address) > sequence + 1
    assert all(small.recorded(f"add-{one}").tx.gas_used <= gas * 3 // 2 for one in (1, 2, 4, 16, 32))


@pytest.mark.parametrize("caps", [{"max_gas": 1000}, {"max_fee": 3, "gas_price": 0.025}])
def test_a_message_over_the_caps_waits_and_says_so(open_node, node, caps, record, stake):
    capped = open_node(**caps)
    record(capped, 1)
    with pytest.raises(FeeTooHigh, match="the cap of atlas-test is"):
        capped.flush()
    with pytest.raises(FeeTooHigh):
        capped.heartbeat()
    assert capped.backlog().undecided == 1
    assert open_node().flush().undecided == 0
    assert stake(node) == 1


def test_a_write_sends_what_waits_before_it(node, record, stake, states):
    record(node, 1)
    node.add_stake(2)
    assert states(node, 1) == ["landed"]
    assert stake(node) == 3


def test_repeated_writes_are_repeated_where_that_means_something(node, path, stake):
    assert node.heartbeat().hash != node.heartbeat().hash
    node.add_stake(5)
    node.add_stake(5)
    assert stake(node) == 10
    assert Outbox(path).entries() == [], "nobody can ask for them again"


def test_a_write_that_can_happen_once_is_recorded_once(node, chain):
    job = node.create_job("job", "spec", "data", 1, 1, reward=50, lease_seconds=60, escrow=100)
    sequence = chain.sequence(node.address)
    assert node.create_job("job", "spec", "data", 1, 1, reward=50, lease_seconds=60, escrow=100) == job
    closed = node.close_job(job)
    assert node.close_job(job) == closed
    assert chain.sequence(node.address) == sequence + 1


def test_a_refused_write_may_be_tried_again(node):
    with pytest.raises(ContractRefused, match="1"):
        node.close_job(1)
    job = node.create_job("job", "spec", "data", 1, 1, reward=50, lease_seconds=60, escrow=100)
    assert node.close_job(job).attribute("action") == "close_job"


def test_an_outbox_belongs_to_one_key_and_chain(node, path, network, operator_key, node_key):
    with pytest.raises(OutboxError, match=r"belongs to .* on atlas-test, not to"):
        Ledger(network, operator_key, outbox=Outbox(path))
    with pytest.raises(OutboxError, match=r"not to .* on atlas-other"):
        Ledger(network.model_copy(update={"chain_id": "atlas-other"}), node_key, outbox=Outbox(path))


def test_only_the_owner_can_read_the_file(node, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_named(path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(OutboxError, match=r"node\.db \(the outbox.*is damaged: file is not a database"):
        Outbox(path)
    with pytest.raises(OutboxError, match=r"node\.db .* is damaged"):
        read_backlog(path)
    path.unlink()
    with pytest.raises(OutboxError, match=r"node\.db .* is missing"):
        read_backlog(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(OutboxError, match="has version 9, expected 1"):
        Outbox(path)


def test_without_an_outbox_nothing_can_wait(network, node_key):
    with Ledger(network, node_key) as ledger:
        for action in (lambda: ledger.later("key"), ledger.flush, ledger.backlog, lambda: ledger.recorded("key")):
            with pytest.raises(ChainError, match="without an outbox"):
                action()


def test_keys_of_the_outboxs_own_form_are_refused(node):
    with pytest.raises(ChainError, match="reserved for the outbox"):
        node.later("one-time:x").heartbeat()


def test_threads_and_ledgers_with_one_key_take_turns(node, open_node, path, chain, stake):
    ledgers = [node, open_node(Outbox(path)), open_node(Outbox(path))]
    sequence = chain.sequence(node.address)
    with ThreadPoolExecutor(6) as pool:
        hashes = {tx.hash for tx in pool.map(lambda number: ledgers[number % 3].add_stake(1), range(18))}
    assert (len(hashes), stake(node), chain.sequence(node.address)) == (18, 18, sequence + 18)


def test_a_sender_that_holds_on_for_too_long_is_named(node, path, open_node):
    impatient = open_node(Outbox(path, lock_seconds=0.1))
    with Outbox(path).exclusive(), pytest.raises(OutboxError, match="Another process has been sending"):
        impatient.flush()
