"""The façade as plain cosmpy sees it."""

import grpc
import pytest
from cosmpy.aerial.client import LedgerClient, NetworkConfig
from cosmpy.aerial.client.utils import prepare_and_broadcast_basic_transaction
from cosmpy.aerial.contract import LedgerContract, create_cosmwasm_execute_msg
from cosmpy.aerial.exceptions import BroadcastError
from cosmpy.aerial.tx import Transaction, TxFee
from cosmpy.aerial.types import Account
from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxRequest
from cosmpy.protos.cosmwasm.wasm.v1 import query_pb2 as query

from chain_bridge.embedded.facade.server import Server
from chain_bridge.embedded.state.addresses import contract_address
from chain_bridge.errors import ChainError
from chain_bridge.networks.deploy import CONTRACT_WASM

NOWHERE = contract_address(9, 9, "atlas")
SETTINGS = {"denom": "uatl", "min_stake": "0", "heartbeat_seconds": 60, "challenge_seconds": 0}


@pytest.fixture
def client(server):
    config = NetworkConfig("atlas-test", 0.025, "uatl", "uatl", server.url)
    return LedgerClient(config, query_interval_secs=0.01)


@pytest.fixture
def contract(client, operator_key):
    contract = LedgerContract(str(CONTRACT_WASM), client)
    contract.deploy(SETTINGS, operator_key.wallet)
    return contract


@pytest.fixture
def wallet(operator_key):
    return operator_key.wallet


def test_deploy_execute_query(client, contract, wallet, genesis):
    sent = contract.execute(
        {"register_node": {"kind": "compute", "capacity": 3, "manifest": "bafy"}}, wallet
    ).wait_to_complete()
    assert sent.response.events["wasm"]["node_id"] == "1"
    assert contract.query({"nodes": {}})[0]["owner"] == str(wallet.address())
    assert 0 < client.query_bank_balance(wallet.address()) < genesis, "fees were paid"
    assert client.query_bank_all_balances(wallet.address())[0].denom == "uatl"
    assert client.query_chain_id() == "atlas-test"
    assert client.query_height() == sent.response.height == 3
    assert client.query_node_info().app_name == "atlas-embedded"
    assert client.query_consensus_params().params.block.max_gas == 100_000_000


def test_a_stored_contract_is_found_by_its_hash(client, contract):
    assert LedgerContract(str(CONTRACT_WASM), client).code_id == contract.code_id == 1


def test_coins_are_sent(client, wallet, new_key):
    to = new_key("bob").wallet.address()
    client.send_tokens(to, 12, "uatl", wallet).wait_to_complete()
    assert client.query_bank_balance(to) == 12


def test_a_key_without_coins_may_send_when_gas_is_free(server, contract, new_key):
    free = LedgerClient(NetworkConfig("atlas-test", 0, "uatl", "uatl", server.url), query_interval_secs=0.01)
    node = new_key("node").wallet
    own = LedgerContract(None, free, contract.address, code_id=contract.code_id)
    own.execute({"register_node": {"kind": "storage", "capacity": 1, "manifest": "b"}}, node).wait_to_complete()
    own.execute({"heartbeat": {}}, node).wait_to_complete()
    assert free.query_account(node.address()).sequence == 2


def test_three_messages_in_one_transaction_have_three_events(client, contract, wallet):
    transaction = Transaction()
    for number in range(3):
        job = {
            "key": f"k{number}", "spec": "s", "dataset": "d", "shards": 1, "rounds": 1, "reward": "1",
            "lease_seconds": 60,
        }  # fmt: skip
        transaction.add_message(
            create_cosmwasm_execute_msg(wallet.address(), contract.address, {"create_job": job}, funds="2uatl")
        )
    sent = prepare_and_broadcast_basic_transaction(client, transaction, wallet).wait_to_complete()
    record = client.txs.GetTx(GetTxRequest(hash=sent.tx_hash)).tx_response
    seen = [{item.key: item.value for item in event.attributes} for event in record.events if event.type == "wasm"]
    assert [(event["job_id"], event["msg_index"]) for event in seen] == [("1", "0"), ("2", "1"), ("3", "2")]


def test_a_contracts_refusal_is_seen_before_anything_is_paid(client, contract, wallet):
    before = client.query_bank_balance(wallet.address())
    with pytest.raises(grpc.RpcError) as caught:
        contract.execute({"heartbeat": {}}, wallet)
    assert "has no node: use register_node first: execute wasm contract failed" in caught.value.details()
    assert client.query_bank_balance(wallet.address()) == before


def test_a_stale_sequence_is_refused(client, contract, wallet):
    account = client.query_account(wallet.address())
    transaction = Transaction()
    transaction.add_message(create_cosmwasm_execute_msg(wallet.address(), contract.address, {"heartbeat": {}}))
    stale = Account(account.address, account.number, account.sequence - 1)
    with pytest.raises(BroadcastError, match="account sequence mismatch, expected 2, got 1"):
        prepare_and_broadcast_basic_transaction(
            client, transaction, wallet, account=stale, fee=TxFee("1000uatl", 300_000)
        )


def test_raw_state_comes_in_pages(client, contract):
    def page(key=b"", limit=2):
        request = query.QueryAllContractStateRequest(
            address=str(contract.address), pagination=PageRequest(key=key, limit=limit)
        )
        return client.wasm.AllContractState(request)

    everything = [model.key for model in page(limit=100).models]
    first, seen = page(), []
    while True:
        seen += [model.key for model in first.models]
        if not first.pagination.next_key:
            break
        first = page(first.pagination.next_key)
    assert seen == everything == sorted(everything)
    assert b"contract_info" in everything


def test_where_a_contract_comes_from(client, contract, wallet):
    request = query.QueryContractInfoRequest(address=str(contract.address))
    info = client.wasm.ContractInfo(request).contract_info
    assert (info.code_id, info.creator, info.created.block_height) == (1, str(wallet.address()), 2)


@pytest.mark.parametrize(
    ("ask", "status", "text"),
    [
        (lambda client: client.query_account("nonsense"), grpc.StatusCode.UNKNOWN, "decoding bech32 failed"),
        (lambda client: client.query_bank_balance("nonsense"), grpc.StatusCode.INVALID_ARGUMENT, "invalid address"),
        (
            lambda client: client.wasm.ContractInfo(query.QueryContractInfoRequest(address=NOWHERE)),
            grpc.StatusCode.UNKNOWN,
            f"codespace wasm code 22: no such contract: address {NOWHERE}",
        ),
        (lambda client: client.txs.GetTx(GetTxRequest(hash="00")), grpc.StatusCode.NOT_FOUND, "tx not found: 00"),
        (lambda client: client.query_validators(), grpc.StatusCode.UNIMPLEMENTED, ""),
    ],
)
def test_questions_without_an_answer(client, ask, status, text):
    with pytest.raises(grpc.RpcError) as caught:
        ask(client)
    assert caught.value.code() == status
    assert text in caught.value.details()


def test_a_taken_port_is_refused(chain, server):
    with pytest.raises(ChainError, match=f"Port {server.port} on 127.0.0.1 is taken"):
        Server(chain, server.port)
