"""Checks of a message before its fee is deducted (`ValidateBasic` in wasmd `x/wasm/types/tx.go`)."""

import json
import re
from typing import Any

from cosmpy.protos.cosmwasm.wasm.v1 import tx_pb2 as wasm
from google.protobuf.message import Message

from chain_bridge.embedded.errors import InvalidAddress, MessageRefused
from chain_bridge.embedded.state.addresses import decode

_LONGEST_LABEL = 128
_DENOM = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
_AMOUNT = re.compile(r"0*[1-9][0-9]*")


def check_message(message: Message, prefix: str) -> None:
    """Raise `Refused` when a message of the wasm module is malformed; other messages are checked when they run."""
    if isinstance(message, wasm.MsgInstantiateContract):
        _check_code(message)
        _check_label(message.label)
        _check_funds(message)
        if message.admin:
            _check_address("admin", message.admin, prefix)
        _check_json(message)
    elif isinstance(message, wasm.MsgExecuteContract):
        _check_address("contract", message.contract, prefix)
        _check_funds(message)
        _check_json(message)
    elif isinstance(message, wasm.MsgMigrateContract):
        _check_code(message)
        _check_address("contract", message.contract, prefix)
        _check_json(message)
    elif isinstance(message, wasm.MsgStoreCode) and not message.wasm_byte_code:
        raise MessageRefused("code bytes is required: empty: invalid request")


def _check_address(role: str, text: str, prefix: str) -> None:
    try:
        decode(text, prefix)
    except InvalidAddress as error:
        raise MessageRefused(f"{role}: {error.reason}", "undefined", 1) from error


def _check_code(message: Any) -> None:
    if not message.code_id:
        raise MessageRefused("code id is required: invalid request")


def _check_label(label: str) -> None:
    if not label:
        raise MessageRefused("label: is required: empty", "wasm", 12)
    if len(label.encode()) > _LONGEST_LABEL:
        raise MessageRefused(f"label: cannot be longer than {_LONGEST_LABEL} characters: exceeds limit", "wasm", 13)
    if label != label.strip():
        raise MessageRefused("label: label must not start/end with whitespaces: invalid", "wasm", 14)
    if not label.isprintable():
        raise MessageRefused("label: label must have printable characters only: invalid", "wasm", 14)


def _check_funds(message: Any) -> None:
    """Raise `MessageRefused` for malformed funds, with the texts of cosmos-sdk `types/coin.go`."""
    last = ""
    for item in message.funds:
        if not _DENOM.fullmatch(item.denom):
            problem = f"invalid denom: {item.denom}"
        elif item.denom < last:
            problem = f"denomination {item.denom} is not sorted"
        elif item.denom == last:
            problem = f"duplicate denomination {item.denom}"
        elif not _AMOUNT.fullmatch(item.amount):
            problem = f"coin {item.amount}{item.denom} amount is not positive"
        else:
            last = item.denom
            continue
        raise MessageRefused(f"funds: {problem}", "undefined", 1)


def is_json(data: bytes) -> bool:
    """Whether these bytes are one JSON value, with the strictness of Go (no NaN or Infinity)."""
    try:
        json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _check_json(message: Any) -> None:
    if not is_json(message.msg):
        raise MessageRefused("payload msg: invalid", "wasm", 14)
