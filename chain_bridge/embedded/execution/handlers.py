"""The types of messages that a transaction may carry, with the required signer and the handler of each."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend, MsgSendResponse
from cosmpy.protos.cosmos.feegrant.v1beta1.tx_pb2 import (
    MsgGrantAllowance,
    MsgGrantAllowanceResponse,
    MsgRevokeAllowance,
    MsgRevokeAllowanceResponse,
)
from cosmpy.protos.cosmwasm.wasm.v1 import tx_pb2 as wasm
from google.protobuf.message import Message

from chain_bridge.embedded.errors import CodeRefused, ForeignAddress, InvalidAddress, Refused
from chain_bridge.embedded.execution.events import event
from chain_bridge.embedded.execution.execution import Execution
from chain_bridge.embedded.gas import CODE_BYTE, UNPACK, UNPACK_BYTES, GasMeter
from chain_bridge.embedded.state.addresses import read_account, read_contract
from chain_bridge.embedded.state.bank import Coin, coin

_CODE_BYTES = 800 * 1024
_PARAMETERS = 9
_GZIP = 16 + zlib.MAX_WBITS


class Handler(NamedTuple):
    """The type, the required signer and the implementation of a kind of message."""

    kind: type[Any]
    signer: Callable[[Any], str]
    run: Callable[[Execution, Any], Message]


def _send(execution: Execution, message: Any) -> Message:
    execution.send(message.from_address, message.to_address, _coins(message.amount))
    execution.events.append(event("message", sender=message.from_address))
    return MsgSendResponse()


def _grant_fees(execution: Execution, message: Any) -> Message:
    parts = execution.parts
    if message.grantee.lower() == message.granter.lower():
        raise InvalidAddress("cannot self-grant fee authorization")
    grantee = _grantee(execution, message)
    parts.grants.grant(message.granter, grantee, message.allowance, execution.block.time_ns, execution.gas)
    parts.accounts.charge_read(grantee, execution.gas)
    parts.accounts.create(grantee, execution.gas)
    execution.events.append(event("set_feegrant", granter=message.granter, grantee=grantee))
    return MsgGrantAllowanceResponse()


def _revoke_fees(execution: Execution, message: Any) -> Message:
    if message.grantee == message.granter:
        raise InvalidAddress("addresses must be different")
    grantee = _grantee(execution, message)
    execution.parts.grants.revoke(message.granter, grantee, execution.gas)
    execution.events.append(event("revoke_feegrant", granter=message.granter, grantee=grantee))
    return MsgRevokeAllowanceResponse()


def _grantee(execution: Execution, message: Any) -> str:
    """The grantee's address. For an invalid one, this module returns the bare reason, without the SDK's wrapper."""
    try:
        return read_account(message.grantee, execution.parts.settings.prefix)
    except InvalidAddress as error:
        codespace, code = ("sdk", 35) if isinstance(error, ForeignAddress) else ("undefined", 1)
        raise Refused(error.reason, codespace, code) from error


def _store_code(execution: Execution, message: Any) -> Message:
    for _ in ("who may instantiate it", "who may upload it"):
        execution.gas.charge_read(_PARAMETERS)
    bytecode = _decompress(message.wasm_byte_code, execution.gas)
    execution.gas.charge(CODE_BYTE * len(bytecode), "wasm contract")
    execution.parts.vm.check(bytecode)
    code = execution.parts.registry.store_code(message.sender, bytecode, execution.gas)
    execution.events.append(event("store_code", code_checksum=code.checksum.hex(), code_id=str(code.id)))
    return wasm.MsgStoreCodeResponse(code_id=code.id, checksum=code.checksum)


def _instantiate(execution: Execution, message: Any) -> Message:
    address, data = execution.instantiate(
        message.sender, message.code_id, message.msg, _coins(message.funds), message.label, message.admin
    )
    return wasm.MsgInstantiateContractResponse(address=address, data=data)


def _execute(execution: Execution, message: Any) -> Message:
    contract = read_contract(message.contract, execution.parts.settings.prefix)
    data = execution.execute(message.sender, contract, message.msg, _coins(message.funds))
    return wasm.MsgExecuteContractResponse(data=data)


def _migrate(execution: Execution, message: Any) -> Message:
    contract = read_contract(message.contract, execution.parts.settings.prefix)
    data = execution.migrate(message.sender, contract, message.code_id, message.msg)
    return wasm.MsgMigrateContractResponse(data=data)


def _coins(coins: Any) -> list[Coin]:
    return [coin(item.denom, item.amount) for item in coins]


def _decompress(data: bytes, gas: GasMeter) -> bytes:
    """Return the bytecode, decompressed if it is gzip; raises `CodeRefused` if it is damaged or too long."""
    if data[:2] == b"\x1f\x8b":
        gas.charge(UNPACK * len(data) // UNPACK_BYTES, "Uncompress gzip bytecode")
        try:
            data = zlib.decompressobj(_GZIP).decompress(data, _CODE_BYTES + 1)
        except zlib.error as error:
            raise CodeRefused(f"the compressed bytecode is damaged: {error}") from error
    if len(data) > _CODE_BYTES:
        raise CodeRefused(f"the bytecode has more than {_CODE_BYTES} bytes")
    return data


def _sender(message: Any) -> str:
    return str(message.sender)


HANDLERS = {
    f"/{handler.kind.DESCRIPTOR.full_name}": handler
    for handler in (
        Handler(MsgSend, lambda message: str(message.from_address), _send),
        Handler(MsgGrantAllowance, lambda message: str(message.granter), _grant_fees),
        Handler(MsgRevokeAllowance, lambda message: str(message.granter), _revoke_fees),
        Handler(wasm.MsgStoreCode, _sender, _store_code),
        Handler(wasm.MsgInstantiateContract, _sender, _instantiate),
        Handler(wasm.MsgExecuteContract, _sender, _execute),
        Handler(wasm.MsgMigrateContract, _sender, _migrate),
    )
}
