"""Messages that are refused before anything is paid for them: codes and texts are those of wasmd v0.61.14."""

import pytest
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import (
    MsgExecuteContract,
    MsgInstantiateContract,
    MsgMigrateContract,
    MsgStoreCode,
)

from chain_bridge.embedded.state.addresses import contract_address
from chain_bridge.embedded.vm.checks import is_json

CONTRACT = contract_address(1, 1, "atlas")
EXECUTE = {"contract": CONTRACT, "msg": b"{}"}
INSTANTIATE = {"code_id": 1, "label": "x", "msg": b"{}"}


def funds(*coins):
    return [Coin(denom=denom, amount=amount) for denom, amount in coins]


@pytest.mark.parametrize(
    ("kind", "parts", "codespace", "code", "text"),
    [
        (MsgExecuteContract, EXECUTE | {"msg": b"nonsense"}, "wasm", 14, "payload msg: invalid"),
        (MsgExecuteContract, EXECUTE | {"msg": b""}, "wasm", 14, "payload msg: invalid"),
        (MsgExecuteContract, EXECUTE | {"msg": b'{"a": NaN}'}, "wasm", 14, "payload msg: invalid"),
        (
            MsgExecuteContract,
            EXECUTE | {"contract": "nonsense"},
            "undefined",
            1,
            "contract: decoding bech32 failed: invalid separator index -1",
        ),
        (
            MsgExecuteContract,
            EXECUTE | {"funds": funds(("uatl", "0"))},
            "undefined",
            1,
            "funds: coin 0uatl amount is not positive",
        ),
        (
            MsgExecuteContract,
            EXECUTE | {"funds": funds(("uxyz", "1"), ("uatl", "1"))},
            "undefined",
            1,
            "funds: denomination uatl is not sorted",
        ),
        (
            MsgExecuteContract,
            EXECUTE | {"funds": funds(("uatl", "1"), ("uatl", "1"))},
            "undefined",
            1,
            "funds: duplicate denomination uatl",
        ),
        (MsgExecuteContract, EXECUTE | {"funds": funds(("u", "1"))}, "undefined", 1, "funds: invalid denom: u"),
        (MsgInstantiateContract, INSTANTIATE | {"label": ""}, "wasm", 12, "label: is required: empty"),
        (
            MsgInstantiateContract,
            INSTANTIATE | {"label": "x" * 129},
            "wasm",
            13,
            "label: cannot be longer than 128 characters: exceeds limit",
        ),
        (
            MsgInstantiateContract,
            INSTANTIATE | {"admin": "nobody"},
            "undefined",
            1,
            "admin: decoding bech32 failed: invalid bech32 string length 6",
        ),
        (MsgInstantiateContract, INSTANTIATE | {"code_id": 0}, "sdk", 18, "code id is required: invalid request"),
        (MsgMigrateContract, {"code_id": 1, "contract": CONTRACT}, "wasm", 14, "payload msg: invalid"),
        (MsgStoreCode, {}, "sdk", 18, "code bytes is required: empty: invalid request"),
    ],
)
def test_malformed_messages_cost_nothing(driver, kind, parts, codespace, code, text):
    refused = driver.send(kind(sender=driver.key.address, **parts))
    assert (refused.codespace, refused.code, refused.raw_log) == (codespace, code, text)
    assert driver.chain.sequence(driver.key.address) == 0
    assert driver.chain.stored_block().block.height == 0


@pytest.mark.parametrize("text", [b'{"a": [1, null, "b"]}', b" 5 ", b'"text"', b"\t\n{}"])
def test_json_is_any_value(text):
    assert is_json(text)


@pytest.mark.parametrize("text", [b"", b"{", b"{}x", b"Infinity", b"'a'", b"\xff", b"[" * 100_000])
def test_what_is_not_json(text):
    assert not is_json(text)
