"""Blocks and searches through the façade, as a client that follows the chain uses them."""

import grpc
import pytest
from cosmpy.aerial.client import LedgerClient, NetworkConfig
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetBlockByHeightRequest, GetLatestBlockRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceStub
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    ORDER_BY_DESC,
    GetBlockWithTxsRequest,
    GetTxsEventRequest,
)
from cosmpy.protos.cosmwasm.wasm.v1 import query_pb2 as query

from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.errors import SearchRefused
from chain_bridge.embedded.search import Condition, parse_search


@pytest.fixture
def client(server):
    return LedgerClient(NetworkConfig("atlas-test", 0, "uatl", "uatl", server.url))


@pytest.fixture
def node(server):
    with grpc.insecure_channel(server.url.removeprefix("grpc+http://")) as channel:
        yield ServiceStub(channel)


@pytest.fixture
def beats(driver, puppet):
    """Eight calls of the puppet, at heights 3 to 10; the third fails."""
    for number in range(8):
        attributes = [{"key": "action", "value": "beat"}, {"key": "node_id", "value": str(number)}]
        driver.execute(puppet, b'{"error": "tired"}' if number == 2 else {"attributes": attributes})


def heights(client, text, **options):
    answer = client.txs.GetTxsEvent(GetTxsEventRequest(query=text, **options))
    assert len(answer.txs) == len(answer.tx_responses)
    return [item.height for item in answer.tx_responses], answer.total


def test_transactions_are_found_by_contract_and_height(client, beats, puppet):
    mine = f"wasm._contract_address='{puppet}'"
    assert heights(client, mine) == ([3, 4, 6, 7, 8, 9, 10], 7)
    assert heights(client, f"{mine} AND tx.height>6") == ([7, 8, 9, 10], 4)
    assert heights(client, f"{mine} AND tx.height >= 6 AND tx.height<=8") == ([6, 7, 8], 3)
    assert heights(client, f"tx.height>4 AND tx.height<7 AND {mine}") == ([6], 1)
    assert heights(client, f"{mine} AND tx.height>100") == ([], 0)
    assert heights(client, "tx.height=5") == ([5], 1), "what failed is in its block"
    assert heights(client, "wasm.action='beat' AND wasm.node_id=4") == ([7], 1)
    assert heights(client, "wasm.node_id>=6") == ([9, 10], 2), "numbers are compared as numbers"
    assert heights(client, "message.action='/cosmwasm.wasm.v1.MsgStoreCode'") == ([1], 1)


def test_found_transactions_come_in_pages(client, beats):
    text, pages = "tx.height>2", []
    for page in (1, 2, 3):
        found, total = heights(client, text, page=page, limit=3)
        assert total == 8
        pages += found
    assert pages == list(range(3, 11))
    assert heights(client, text, limit=2, order_by=ORDER_BY_DESC) == ([10, 9], 8)
    with pytest.raises(grpc.RpcError) as caught:
        heights(client, text, page=4, limit=3)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert caught.value.details() == "failed to search for txs: page should be within [1, 3] range, given 4"


def test_searches_are_read():
    assert parse_search("wasm.a='b c' AND tx.height>3AND x_y = 4") == [
        Condition("wasm.a", "=", "b c"),
        Condition("tx.height", ">", 3),
        Condition("x_y", "=", 4),
    ]
    assert parse_search("a='AND b=1'") == [Condition("a", "=", "AND b=1")]


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "a=b", "a='b' AND", "a='b' OR c='d'", "AND a=1", "a='b", "tx.height>'2'", "a>'b'", "a>1;--",
     "tx.height>99999999999999999999", "a='b'c='d'"],
)  # fmt: skip
def test_malformed_searches_are_refused(text):
    with pytest.raises(SearchRefused):
        parse_search(text)


def test_quotes_do_not_leave_the_search(client, beats):
    assert heights(client, "wasm.action=''") == ([], 0)
    with pytest.raises(grpc.RpcError) as caught:
        heights(client, "wasm.action='x' OR 1=1 --'")
    assert caught.value.code() == grpc.StatusCode.INTERNAL


def test_a_block_has_its_transaction(client, node, beats, chain):
    for height in (1, 5, 10):
        block = client.txs.GetBlockWithTxs(GetBlockWithTxsRequest(height=height))
        same = node.GetBlockByHeight(GetBlockByHeightRequest(height=height))
        assert (block.block, block.block_id) == (same.block, same.block_id)
        assert (block.block.header.height, block.block.header.chain_id) == (height, "atlas-test")
        assert len(block.txs) == len(block.block.data.txs) == block.pagination.total == 1
        found = client.txs.GetTxsEvent(GetTxsEventRequest(query=f"tx.height={height}"))
        assert found.txs[0] == block.txs[0]
        assert block.block.header.time.ToSeconds() == 1_800_000_000
    newest = node.GetLatestBlock(GetLatestBlockRequest())
    assert newest.block_id == same.block_id


def test_blocks_are_chained(node, beats):
    blocks = [node.GetBlockByHeight(GetBlockByHeightRequest(height=height)) for height in range(1, 11)]
    hashes = [item.block_id.hash for item in blocks]
    assert len(set(hashes)) == 10
    assert all(len(item) == 32 for item in hashes)
    assert [item.block.header.last_block_id.hash for item in blocks[1:]] == hashes[:-1]


@pytest.mark.parametrize(
    ("service", "height", "status", "text"),
    [
        ("node", 11, grpc.StatusCode.INVALID_ARGUMENT, "requested block height is bigger then the chain length"),
        ("node", 0, grpc.StatusCode.UNKNOWN, "height must be greater than 0, but got 0"),
        ("tx", 11, grpc.StatusCode.UNKNOWN, "codespace sdk code 26: invalid height: requested height 11 but height"),
        ("tx", 0, grpc.StatusCode.UNKNOWN, "codespace sdk code 26: invalid height: requested height 0 but height"),
    ],
)
def test_blocks_that_there_are_not(client, node, beats, service, height, status, text):
    with pytest.raises(grpc.RpcError) as caught:
        if service == "node":
            node.GetBlockByHeight(GetBlockByHeightRequest(height=height))
        else:
            client.txs.GetBlockWithTxs(GetBlockWithTxsRequest(height=height))
    assert caught.value.code() == status
    assert text in caught.value.details()


def test_a_chain_that_was_begun_anew_has_other_hashes(tmp_path, clock, sign, operator_key, pay):
    def hashes(name):
        chain = Chain(tmp_path / name, Settings("atlas-test"), clock)
        chain.fund(operator_key.address, 10)
        assert chain.broadcast(sign(operator_key, [pay()], 0)).code == 0
        found = [chain.stored_block(1).hash, chain.stored_block(1).previous]
        chain.close()
        again = Chain(tmp_path / name, Settings("atlas-test"), clock)
        assert [again.stored_block(1).hash, again.stored_block(1).previous] == found, "they stay"
        again.close()
        return set(found)

    first = hashes("first")
    clock.advance(1)
    assert not first & hashes("second")


def test_a_stored_bytecode_is_given_out(client, beats, puppet_wasm, driver):
    answer = client.wasm.Code(query.QueryCodeRequest(code_id=1))
    assert (answer.data, answer.code_info.creator) == (puppet_wasm, driver.key.address)
    with pytest.raises(grpc.RpcError, match="codespace wasm code 28: no such code: code id 7"):
        client.wasm.Code(query.QueryCodeRequest(code_id=7))
