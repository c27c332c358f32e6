"""Answers of contracts: the response, and the messages in it for the chain to carry out.

Source: cosmwasm `packages/std/src/results`. The models have fields only for features that the embedded chain supports.
"""

from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, ValidationError

from chain_bridge.embedded.errors import AnswerMalformed, ContractFailed, Refused
from chain_bridge.embedded.state.bank import Coin, coin


class _Raw(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attribute(_Raw):
    """A key and a value of an event."""

    key: str
    value: str

    @property
    def size(self) -> int:
        """Bytes of both."""
        return len(self.key.encode()) + len(self.value.encode())


class CustomEvent(_Raw):
    """An event with a type chosen by the contract."""

    type: str
    attributes: list[Attribute]


class _Coin(_Raw):
    denom: str
    amount: str


class _Paid(_Raw):
    funds: list[_Coin]

    @property
    def coins(self) -> list[Coin]:
        """The funds; raises `Refused` when an amount or denomination is invalid."""
        return [coin(item.denom, item.amount) for item in self.funds]


class BankBurn(_Raw):
    """Destroy the contract's own coins."""

    amount: list[_Coin]

    @property
    def coins(self) -> list[Coin]:
        """The coins; raises `Refused` when an amount or denomination is invalid."""
        return [coin(item.denom, item.amount) for item in self.amount]


class BankSend(BankBurn):
    """Send the contract's own coins."""

    to_address: str


class WasmExecute(_Paid):
    """Call another contract."""

    contract_addr: str
    msg: Base64Bytes


class WasmInstantiate(_Paid):
    """Create another contract."""

    code_id: int
    msg: Base64Bytes
    label: str
    admin: str | None = None


class BankMessage(_Strict):
    """A message of a contract to the bank module."""

    send: BankSend | None = None
    burn: BankBurn | None = None


class WasmMessage(_Strict):
    """A message of a contract to the wasm module."""

    execute: WasmExecute | None = None
    instantiate: WasmInstantiate | None = None


class ChainMessage(_Strict):
    """A message of one module of the chain."""

    bank: BankMessage | None = None
    wasm: WasmMessage | None = None


class SubMessage(_Raw):
    """A message, and the outcomes for which the contract requests a reply."""

    id: int
    msg: dict[str, Any]
    reply_on: Literal["always", "error", "success", "never"]
    gas_limit: int | None = None
    payload: str = ""

    @property
    def message(self) -> ChainMessage:
        """The message; raises `Refused` for a kind that this chain does not support."""
        try:
            return ChainMessage.model_validate(self.msg)
        except ValidationError as error:
            kind = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Refused(f"the embedded chain cannot execute the message at {kind}", "wasm", 20) from error


class Response(_Raw):
    """The successful answer of every entry point except `query`."""

    messages: list[SubMessage]
    attributes: list[Attribute]
    events: list[CustomEvent]
    data: Base64Bytes | None = None


class _ResponseResult(_Raw):
    ok: Response | None = None
    error: str | None = None


class _QueryResult(_Raw):
    ok: Base64Bytes | None = None
    error: str | None = None


def parse_response(entry: str, raw: bytes) -> Response:
    """The response in a contract's answer.

    Raises `ContractFailed` with the contract's error, and `AnswerMalformed` if the answer cannot be parsed.
    """
    return _unwrap(entry, _ResponseResult, raw)  # type: ignore[no-any-return]


def parse_answer(raw: bytes) -> bytes:
    """The bytes of a contract's answer to a query; raises as `parse_response`."""
    return _unwrap("query", _QueryResult, raw)  # type: ignore[no-any-return]


def _unwrap(entry: str, kind: type[_ResponseResult | _QueryResult], raw: bytes) -> Any:
    try:
        result = kind.model_validate_json(raw)
    except ValidationError as error:
        raise AnswerMalformed(error.errors()[0]["msg"]) from error
    if result.error is not None:
        raise ContractFailed(entry, result.error)
    if result.ok is None:
        raise AnswerMalformed("it has neither ok nor error")
    return result.ok
