"""What the ledger does when the way to the chain is not smooth."""

import math
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import stamina
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxRequest
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgStoreCode

from chain_bridge.client import fees
from chain_bridge.client.connection import Connection
from chain_bridge.client.network import Network
from chain_bridge.client.sender import Sender
from chain_bridge.embedded.facade.server import Server
from chain_bridge.embedded.state.addresses import contract_address
from chain_bridge.errors import (
    ChainError,
    ChainUnreachable,
    ContractFileError,
    InsufficientFunds,
    OutcomeUnknown,
    TransactionFailed,
    WrongChain,
    WrongContract,
)
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract, read_contract


@pytest.fixture
def node(open_ledger):
    """The ledger of a registered machine."""
    ledger = open_ledger("node")
    ledger.register_node("compute", 1, "bafy")
    return ledger


@pytest.fixture
def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_threads_share_a_ledger(node, chain):
    with ThreadPoolExecutor(4) as pool:
        hashes = {tx.hash for tx in pool.map(lambda _: node.heartbeat(), range(24))}
    assert len(hashes) == 24
    assert chain.sequence(node.address) == 25


def test_two_ledgers_with_one_key_take_turns(node, open_ledger, chain):
    other = open_ledger("node")
    for ledger in (node, other, other, node, other):
        ledger.heartbeat()
    assert chain.sequence(node.address) == 6


def test_two_ledgers_with_one_key_at_once(node, open_ledger, chain):
    other = open_ledger("node")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda ledger: [ledger.heartbeat() for _ in range(8)], (node, other)))
    assert chain.sequence(node.address) == 17


def test_a_refusal_does_not_disturb_the_sequence(node, operator):
    with pytest.raises(ChainError):
        node.register_node("compute", 1, "bafy")
    node.heartbeat()
    with pytest.raises(ChainError):
        node.settle(1, 1)
    node.heartbeat()


def test_fees_follow_the_gas_price(network, operator_key, genesis):
    with Ledger(network.model_copy(update={"gas_price": 0.025}), operator_key) as ledger:
        ledger.register_node("compute", 1, "bafy")
        before = ledger.balance(ledger.address)
        tx = ledger.heartbeat()
        paid = before - ledger.balance(ledger.address)
    assert math.ceil(tx.gas_used * 0.025) < paid <= math.ceil(tx.gas_used * 0.025 * 1.5)
    assert before < genesis


def test_a_transaction_is_void_after_some_blocks(node, network, chain):
    height = chain.latest_block().height
    tx = node.heartbeat()
    connection = Connection(network, 10)
    sent = connection.ask(lambda chain: chain.transactions.GetTx(GetTxRequest(hash=tx.hash)).tx)
    connection.close()
    assert sent.body.timeout_height == height + network.timeout_blocks


def test_a_fee_needs_coins(network, new_key):
    with Ledger(network.model_copy(update={"gas_price": 0.025}), new_key("poor")) as ledger:
        with pytest.raises(InsufficientFunds, match="cannot pay"):
            ledger.register_node("compute", 1, "bafy")
        assert ledger.node_of(ledger.address) is None


def test_too_little_gas_is_a_failed_transaction(node, monkeypatch):
    monkeypatch.setattr(fees, "GAS_FACTOR", 0.5)
    with pytest.raises(TransactionFailed, match="out of gas") as caught:
        node.heartbeat()
    assert (caught.value.codespace, caught.value.code) == ("sdk", 11)
    monkeypatch.undo()
    node.heartbeat()


def test_another_chain_behind_the_url_is_noticed(network, operator_key):
    with Ledger(network.model_copy(update={"chain_id": "atlas-main"}), operator_key) as ledger:
        for action in (ledger.config, ledger.height, ledger.heartbeat, lambda: ledger.balance(ledger.address)):
            with pytest.raises(WrongChain, match="serves the chain atlas-test, not atlas-main"):
                action()


@pytest.mark.timeout(30)
def test_nobody_at_the_url_is_told_at_once(new_key, free_port):
    url = f"grpc+http://127.0.0.1:{free_port}"
    network = Network(chain_id="atlas-test", url=url, contract="atlas1contract")
    with Ledger(network, new_key("alice"), timeout_seconds=300, inclusion_seconds=300) as ledger:
        for action in (ledger.height, ledger.totals, ledger.heartbeat):
            with pytest.raises(ChainUnreachable, match="correct the network's url") as caught:
                action()
            assert f"chain atlas-test at {url}" in str(caught.value)


@pytest.mark.timeout(30)
def test_a_silent_url_runs_into_the_deadline(new_key):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        network = Network(chain_id="atlas-test", url=f"grpc+http://127.0.0.1:{listener.getsockname()[1]}")
        with Ledger(network, timeout_seconds=0.3) as ledger, pytest.raises(ChainUnreachable):
            ledger.height()


def test_a_ledger_outlives_a_restart_of_the_server(chain, node, server):
    node.heartbeat()
    server.stop()
    with pytest.raises(ChainUnreachable):
        node.heartbeat()
    again = Server(chain, server.port)
    try:
        stamina.retry(on=ChainUnreachable, attempts=50, timeout=30)(node.heartbeat)()
        assert node.height() == chain.latest_block().height
        assert chain.sequence(node.address) == 3
    finally:
        again.stop()


def test_a_proxy_of_the_environment_is_passed_by(network, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Ledger(network) as ledger:
        assert ledger.height() > 0


def test_a_closed_ledger_opens_again(node, chain):
    node.close()
    before = chain.sequence(node.address)
    node.heartbeat()
    assert chain.sequence(node.address) == before + 1


def test_without_a_key_one_may_read(network):
    with Ledger(network) as ledger:
        assert ledger.config().challenge_seconds == 10
        with pytest.raises(ChainError, match="without a key"):
            ledger.heartbeat()


def test_the_contract_must_be_named_and_there(network, operator_key):
    for address, reason in ((None, "name no contract"), (contract_address(9, 9, "atlas"), "no such contract")):
        with Ledger(network.model_copy(update={"contract": address}), operator_key) as ledger:
            for action in (ledger.totals, ledger.heartbeat):
                with pytest.raises(WrongContract, match=reason):
                    action()
            assert ledger.height() > 0


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (b"", "no cw2 version record"),
        (b'{"contract": "crates.io:cw20-base", "version": "0.1.0"}', "cw20-base 0.1.0"),
        (b'{"contract": "atlas-pipelines", "version": "0.3.0"}', r"atlas-pipelines 0\.3\.0, expected"),
        (b'{"contract": "atlas-pipelines", "version": "0.10.0"}', r"atlas-pipelines 0\.10\.0, expected"),
    ],
)
def test_another_contract_at_the_address_is_noticed(empty_network, operator_key, puppet_wasm, stored, found):
    who = operator_key.address
    send = Sender(Connection(empty_network, 10), operator_key, 5).send
    send([MsgStoreCode(sender=who, wasm_byte_code=puppet_wasm)])
    nothing = b'{"ok": {"messages": [], "attributes": [], "events": []}}'
    send([MsgInstantiateContract(sender=who, code_id=1, label="puppet", msg=nothing)])
    puppet = contract_address(1, 1, "atlas")
    if stored:
        send([MsgExecuteContract(sender=who, contract=puppet, msg=b"\n" + stored)])
    with Ledger(empty_network.model_copy(update={"contract": puppet}), operator_key) as ledger:
        with pytest.raises(WrongContract, match=found):
            ledger.totals()
        with pytest.raises(WrongContract, match=found):
            ledger.heartbeat()


@pytest.fixture
def faulty_node(faults, chain, network, new_key):
    """A registered machine behind a server that can be told to fail."""
    server = Server(chain)
    faulty = network.model_copy(update={"url": server.url})
    with Ledger(faulty, new_key("node"), inclusion_seconds=0.5) as ledger:
        ledger.register_node("compute", 1, "bafy")
        faults.taken.clear()
        yield ledger
    server.stop()


@pytest.mark.parametrize("fault", ["lost answer", "doubled"])
def test_a_lost_answer_is_looked_up_and_nothing_is_sent_twice(faulty_node, faults, chain, fault):
    faults.next = [fault]
    tx = faulty_node.heartbeat()
    assert faults.taken == [tx.hash]
    assert chain.sequence(faulty_node.address) == 2
    faulty_node.heartbeat()


def test_a_lost_request_leaves_the_outcome_unknown(faulty_node, faults, chain):
    faults.next = ["lost request"]
    with pytest.raises(OutcomeUnknown, match="it may still be included") as caught:
        faulty_node.heartbeat()
    assert isinstance(caught.value, ChainUnreachable)
    assert faulty_node.find(caught.value.hash) is None
    assert faults.taken == []
    faulty_node.heartbeat()
    assert chain.sequence(faulty_node.address) == 2


def test_damaged_bytecode_is_not_deployed(tmp_path, empty_network, operator_key, chain):
    wasm = tmp_path / "atlas.wasm"
    wasm.write_bytes(CONTRACT_WASM.read_bytes()[:-1])
    with pytest.raises(ContractFileError, match="Cannot read"):
        read_contract(wasm)
    (tmp_path / "atlas.wasm.sha256").write_bytes(CONTRACT_WASM.with_name("atlas.wasm.sha256").read_bytes())
    with pytest.raises(ContractFileError, match=r"has SHA-256 .* expected .* as in"):
        deploy_contract(empty_network, operator_key, wasm, 60, 10)
    assert chain.latest_block().height == 0
