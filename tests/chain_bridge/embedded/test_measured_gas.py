"""The estimate against the gas that a wasmd v0.61.14 node used for the same transactions.

Measured on a one-validator chain with the coin uatl, each transaction at 0.025 uatl per unit of gas and a limit of
20,000,000 (200,000 for those of the new account). The contract is puppet.wat.
"""

import base64
import json

import pytest
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import BasicAllowance
from cosmpy.protos.cosmos.feegrant.v1beta1.tx_pb2 import MsgGrantAllowance, MsgRevokeAllowance
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgStoreCode
from google.protobuf.any_pb2 import Any

from chain_bridge.embedded.state.addresses import contract_address

TOLERANCE = 0.02
CONTRACT = contract_address(1, 1, "atlas")
LARGE = {"gas": 20_000_000, "fee": "500001uatl"}
SMALL = {"gas": 200_000, "fee": "5001uatl"}


def response(**parts):
    return json.dumps({"ok": {"messages": [], "attributes": [], "events": []} | parts}).encode()


def submessage(message, reply_on="never"):
    return response(messages=[{"id": 7, "msg": message, "gas_limit": None, "reply_on": reply_on, "payload": ""}])


def coins(amount):
    return [Coin(denom="uatl", amount=str(amount))]


@pytest.fixture
def genesis():
    """As many digits as the measured account held."""
    return 10**15


def test_the_estimate_is_near_what_a_node_measures(payer, new_payer, pay, puppet_wasm):
    new = new_payer("bob")
    operator, bob = payer.key.address, new.key.address

    def execute(message, funds=0):
        return MsgExecuteContract(sender=operator, contract=CONTRACT, msg=message, funds=coins(funds) if funds else [])

    limit = Any()
    limit.Pack(BasicAllowance(spend_limit=coins(10**6)), type_url_prefix="/")
    question = json.dumps({"bank": {"balance": {"address": CONTRACT, "denom": "uatl"}}}).encode()
    payment = {"bank": {"send": {"to_address": bob, "amount": [{"denom": "uatl", "amount": "5"}]}}}
    again = {
        "wasm": {"execute": {"contract_addr": CONTRACT, "msg": base64.b64encode(response()).decode(), "funds": []}}
    }
    attribute = {"key": "action", "value": "x" * 90}
    event = {"type": "credit", "attributes": [{"key": "a", "value": "b" * 40}]}
    instantiate = MsgInstantiateContract(sender=operator, code_id=1, label="puppet", msg=response(), funds=coins(1000))
    granted = SMALL | {"granter": operator}
    assert payer.send(pay(), **LARGE).code == 0, "an account's first transaction costs more"
    for measured, messages, options in (
        (74_434, [MsgStoreCode(sender=operator, wasm_byte_code=puppet_wasm)], LARGE),
        (175_107, [instantiate], LARGE),
        (84_717, [pay(1_000_000, to=bob)], LARGE),
        (71_028, [pay(1_000_000, to=bob)], LARGE),
        (83_726, [pay(1, sender=bob, to=operator)], SMALL),
        (116_940, [execute(response())], LARGE),
        (136_322, [execute(response(), 10)], LARGE),
        (156_688, [execute(response())] * 5, LARGE),
        (126_232, [execute(response(attributes=[attribute] * 4, events=[event] * 3))], LARGE),
        (139_859, [execute(b'\n"' + b"v" * 500 + b'"')], LARGE),
        (124_147, [execute(b"\t" + question)], LARGE),
        (139_023, [execute(submessage(payment))], LARGE),
        (150_979, [execute(submessage(payment, "success"))], LARGE),
        (126_848, [execute(submessage(again))], LARGE),
        (116_467, [execute(b'{"error":"no"}')], LARGE),
        (116_414, [execute(b' "because"')], LARGE),
        (64_665, [MsgGrantAllowance(granter=operator, grantee=bob, allowance=limit)], LARGE),
        (82_328, [pay(1, sender=bob, to=operator)], granted),
        (54_985, [MsgRevokeAllowance(granter=operator, grantee=bob)], LARGE),
        (72_530, [pay(1, to=bob)], LARGE | {"memo": "x" * 50}),
    ):
        sender = new if options in (SMALL, granted) else payer
        sent = sender.send(*messages, **options)
        assert sent.gas_used == pytest.approx(measured, rel=TOLERANCE), sent.raw_log or messages
