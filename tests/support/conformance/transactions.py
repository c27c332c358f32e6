"""Transactions around the contract: fees, limits, signatures, coins and fee grants, each with what must come of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import AllowedMsgAllowance, BasicAllowance
from cosmpy.protos.cosmos.feegrant.v1beta1.tx_pb2 import MsgGrantAllowance, MsgRevokeAllowance
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContract, MsgInstantiateContract, MsgMigrateContract
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.timestamp_pb2 import Timestamp

from chain_bridge.client.keys import Key
from tests.support.conformance.both_chains import DENOM, GAS, GAS_PRICE, SETTINGS, Side, parse_coins
from tests.support.conformance.raw_client import Outcome


@dataclass(frozen=True)
class Case:
    """One transaction and the error that it must end with; none: it must succeed."""

    name: str
    send: Callable[[Side, dict[str, Key], str], Outcome]
    refused: str = ""


def case(name: str, sender: str, build: Any, refused: str = "", gas: int = GAS, **options: Any) -> Case:
    """`build(keys, contract, side)` gives the messages; options go to `Side.send`, callable ones get the keys."""

    def send(side: Side, keys: dict[str, Key], contract: str) -> Outcome:
        given = {key: value(keys) if callable(value) else value for key, value in options.items()}
        return side.send(keys[sender], build(keys, contract, side), gas, **given)

    return Case(name, send, refused)


def coins(*amounts: str, to: str = "bob", sender: str = "ann") -> Any:
    """Sends of ann's, or of somebody else's, coins."""

    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        target = keys[to].address if to in keys else to
        return [
            MsgSend(from_address=keys[sender].address, to_address=target, amount=parse_coins(amount))
            for amount in amounts
        ]

    return build


def calls(sender: str, *messages: Any, at: str | None = None) -> Any:
    """Messages to the contract, or to what `at` names."""

    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        target = contract if at is None else keys[at].address if at in keys else at
        return [
            MsgExecuteContract(sender=keys[sender].address, contract=target, msg=json.dumps(message).encode())
            for message in messages
        ]

    return build


def instance(settings: dict[str, Any], sender: str = "owner", code_id: int | None = None) -> Any:
    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        return [
            MsgInstantiateContract(
                sender=keys[sender].address,
                code_id=side.code_id if code_id is None else code_id,
                label="refused",
                msg=json.dumps(settings).encode(),
            )
        ]

    return build


def migration(sender: str, code_id: int | None = None) -> Any:
    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        new_code = side.code_id if code_id is None else code_id
        return [MsgMigrateContract(sender=keys[sender].address, contract=contract, code_id=new_code, msg=b"{}")]

    return build


def packed(message: Any) -> ProtoAny:
    found = ProtoAny()
    found.Pack(message, type_url_prefix="/")
    return found


def grant(allowance: Callable[[int], Any], to: str = "newcomer", granter: str = "ann") -> Any:
    """`allowance(now)` is made from the block time."""

    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        return [
            MsgGrantAllowance(
                granter=keys[granter].address,
                grantee=keys[to].address if to in keys else to,
                allowance=packed(allowance(side.client.block_seconds())),
            )
        ]

    return build


def revoke(to: str = "newcomer", granter: str = "ann") -> Any:
    def build(keys: dict[str, Key], contract: str, side: Side) -> list[Any]:
        grantee = keys[to].address if to in keys else to
        return [MsgRevokeAllowance(granter=keys[granter].address, grantee=grantee)]

    return build


def limit(amount: int, seconds: int | None = None) -> Callable[[int], BasicAllowance]:
    def build(now: int) -> BasicAllowance:
        expiration = None if seconds is None else Timestamp(seconds=now + seconds)
        return BasicAllowance(spend_limit=parse_coins(f"{amount}{DENOM}"), expiration=expiration)

    return build


def allowed(amount: int, message: str) -> Callable[[int], AllowedMsgAllowance]:
    return lambda now: AllowedMsgAllowance(allowance=packed(limit(amount)(now)), allowed_messages=[message])


def address(name: str) -> Callable[[dict[str, Key]], str]:
    return lambda keys: keys[name].address


PRICE = int(GAS * GAS_PRICE)
REGISTER = {"register_node": {"kind": "compute", "capacity": 1, "manifest": "bafy", "public_key": None}}
BY_ANN = {"granter": address("ann")}
ELSEWHERE = "cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrk363e"
CAPITALS = "WASM104TLVLJ4YQXRV2PX6YUVFH0PQMGXXESHJQ7ZKC"
EXECUTE = "/cosmwasm.wasm.v1.MsgExecuteContract"

CASES = [
    # Coins
    case("send", "ann", coins("5uatl")),
    case("two sends", "ann", coins("5uatl", "6uatl")),
    case("send to nobody yet", "ann", coins("5uatl", to="stranger")),
    case("more than there is", "ann", coins("999999999999uatl"), "insufficient funds"),
    case("second fails", "ann", coins("5uatl", "999999999999uatl"), "message index: 1"),
    case("foreign coins", "ann", coins("5ufoo"), "insufficient funds"),
    case("no coins", "ann", coins("0uatl"), "invalid coins"),
    case("malformed recipient", "ann", coins("5uatl", to="wasm1wrong"), "bech32"),
    case("recipient outside the alphabet", "ann", coins("5uatl", to="wasm1nonsense"), "not part of charset: 111"),
    case("another chain's recipient", "ann", coins("5uatl", to=ELSEWHERE), "hrp does not match bech32 prefix"),
    case("recipient in capitals", "ann", coins("5uatl", to=CAPITALS)),
    case("somebody else's coins", "ann", coins("5uatl", sender="bob"), "pubKey does not match"),
    # Fees and limits
    case("fee too small", "ann", coins("5uatl"), "insufficient fee", fee=f"{PRICE - 1}{DENOM}"),
    case("no fee", "ann", coins("5uatl"), "insufficient fee", fee=""),
    case("foreign fee", "ann", coins("5uatl"), "insufficient fee", fee=f"{PRICE}ufoo"),
    case("fee beyond the balance", "ann", coins("5uatl"), "insufficient funds", fee=f"999999999999{DENOM}"),
    case("fee for a failure", "ann", calls("ann", {"withdraw": {}}), "has no credit"),
    case("out of gas at once", "ann", coins("5uatl"), "out of gas", gas=1_000),
    case("out of gas on the way", "ann", calls("ann", REGISTER), "out of gas", gas=110_000),
    case("more gas than a block has", "ann", coins("5uatl"), "gas", gas=100_000_001),
    case("memo", "ann", coins("5uatl"), memo="m" * 256),
    case("memo too long", "ann", coins("5uatl"), "memo too large", memo="m" * 257),
    case("too late", "ann", coins("5uatl"), "tx timeout height", timeout_height=1),
    case("in time", "ann", coins("5uatl"), timeout_height=10**9),
    # Signatures
    case("old sequence", "ann", coins("5uatl"), "account sequence mismatch", sequence=0),
    case("later sequence", "ann", coins("5uatl"), "account sequence mismatch", sequence=999),
    case("signed for another chain", "ann", coins("5uatl"), "signature verification failed", chain_id="other-1"),
    # The contract's address, code and versions
    case("several messages", "ann", calls("ann", REGISTER, {"heartbeat": {}}, {"heartbeat": {}})),
    case("all or none", "bob", calls("bob", REGISTER, {"heartbeat": {}}, {"withdraw": {}}), "message index: 2"),
    case("no such contract", "ann", calls("ann", {"heartbeat": {}}, at="bob"), "no such contract"),
    case("malformed contract", "ann", calls("ann", {"heartbeat": {}}, at="nonsense"), "contract"),
    case("another chain's contract", "ann", calls("ann", {"heartbeat": {}}, at=ELSEWHERE), "invalid Bech32 prefix"),
    case("person in capitals", "ann", calls("ann", {"heartbeat": {}}, at=CAPITALS), "no such contract"),
    case("no such code", "owner", instance(SETTINGS, code_id=99), "no such code"),
    case("foreign owner of the code", "eve", instance(SETTINGS, "eve")),
    case("settings: no heartbeats", "owner", instance(SETTINGS | {"heartbeat_seconds": 0}), "heartbeat_seconds"),
    case("settings: batch", "owner", instance(SETTINGS | {"max_batch": 201}), "max_batch"),
    case("settings: slash", "owner", instance(SETTINGS | {"slash_bps": 10_001}), "slash_bps"),
    case("settings: unbonding", "owner", instance(SETTINGS | {"unbonding_seconds": 1}), "must not escape a slash"),
    case("settings: unknown", "owner", instance(SETTINGS | {"more": 1})),
    case("settings: missing", "owner", instance({"denom": DENOM, "min_stake": "0"}), "missing field"),
    case("migrate to the same version", "owner", migration("owner"), "must be higher"),
    case("migrate as a stranger", "eve", migration("eve"), "unauthorized"),
    case("migrate to no code", "owner", migration("owner", 99), "unknown code"),
    # Fee grants
    case("no grant yet", "bob", coins("5uatl", sender="bob"), "not found", **BY_ANN),
    case("grant", "ann", grant(limit(2 * PRICE + 1))),
    case("grant twice", "ann", grant(limit(5)), "already exists"),
    case("grant to oneself", "ann", grant(limit(5), to="ann"), "self-grant"),
    case("grant to nonsense", "ann", grant(limit(5), to="wasm1nonsense"), "not part of charset: 111"),
    case("grant to another chain", "ann", grant(limit(5), to=ELSEWHERE), "hrp does not match bech32 prefix"),
    case("grant in capitals", "ann", grant(limit(5), to=CAPITALS)),
    case("revoke in capitals", "ann", revoke(to=CAPITALS)),
    case("newcomer has no coins", "newcomer", calls("newcomer", REGISTER), "insufficient funds"),
    case("granted fee", "newcomer", calls("newcomer", REGISTER), **BY_ANN),
    case("granted fee of a failure", "newcomer", calls("newcomer", REGISTER), "already has node", **BY_ANN),
    case("beyond the grant", "newcomer", calls("newcomer", {"heartbeat": {}}), "fee limit exceeded", **BY_ANN),
    case("revoke", "ann", revoke()),
    case("revoke twice", "ann", revoke(), "not found"),
    case("revoked", "newcomer", calls("newcomer", {"heartbeat": {}}), "not found", **BY_ANN),
    case("expired at birth", "ann", grant(limit(5, seconds=-60)), "expiration"),
    case("grant of some messages", "ann", grant(allowed(9 * PRICE, EXECUTE))),
    case("one of them", "newcomer", calls("newcomer", {"heartbeat": {}}), **BY_ANN),
    case("none of them", "newcomer", coins("1uatl", sender="newcomer"), "message not allowed", **BY_ANN),
    case("short grant", "bob", grant(limit(9 * PRICE, seconds=8), to="stranger", granter="bob")),
    case("in its time", "stranger", coins("1uatl", sender="stranger"), granter=address("bob")),
]  # fmt: skip
AFTER_ITS_TIME = case(
    "after its time", "stranger", coins("1uatl", sender="stranger"), "not found", granter=address("bob")
)
