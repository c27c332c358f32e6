"""A refusal whose text is not UTF-8, as wasmd's about fee grants, reaches its reader all the same."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.tx.v1beta1 import service_pb2 as service

from chain_bridge.client.failures import explain
from chain_bridge.client.transaction_answers import TransactionStub
from chain_bridge.errors import InsufficientFee

SAID = b"\xff\xa2\nb does not allow to pay fees for \xaa: c: basic allowance: fee limit exceeded"
REFUSED = TxResponse(
    height=7, txhash="AB", codespace="feegrant", code=2, raw_log="#" * len(SAID), gas_wanted=9, gas_used=8
)


@pytest.fixture
def stub():
    """To a node that says the same to everybody."""

    def say(answer):
        data = answer.SerializeToString().replace(REFUSED.raw_log.encode(), SAID)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: data)

    calls = {
        "BroadcastTx": say(service.BroadcastTxResponse(tx_response=REFUSED)),
        "GetTx": say(service.GetTxResponse(tx_response=REFUSED)),
    }
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("cosmos.tx.v1beta1.Service", calls)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        yield TransactionStub(channel)
    server.stop(None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda stub: stub.BroadcastTx(service.BroadcastTxRequest(tx_bytes=b"x")),
        lambda stub: stub.GetTx(service.GetTxRequest(hash="AB")),
    ],
    ids=["handed over", "in its block"],
)
def test_all_that_names_the_refusal_is_read(stub, ask):
    found = ask(stub).tx_response
    expected = TxResponse()
    expected.CopyFrom(REFUSED)
    expected.raw_log = SAID.decode(errors="replace")
    assert found == expected
    error = explain(found.raw_log, found.codespace, found.code)
    assert type(error) is InsufficientFee
    assert "basic allowance: fee limit exceeded. Correct" in str(error)
    assert "atlas chain grant" in str(error)
    assert str(error).isprintable()
