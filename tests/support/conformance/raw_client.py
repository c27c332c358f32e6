"""A bare cosmpy client that shows all that a chain says: for comparing two chains, answer by answer."""

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import grpc
from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryStub as AuthStub
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import QueryBalanceRequest
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryStub as BankStub
from cosmpy.protos.cosmos.base.query.v1beta1.pagination_pb2 import PageRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceStub as NodeStub
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    BROADCAST_MODE_SYNC,
    BroadcastTxRequest,
    GetTxRequest,
    SimulateRequest,
)
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceStub as TransactionStub
from cosmpy.protos.cosmwasm.wasm.v1 import query_pb2 as wasm_query
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import QueryStub as WasmStub
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from chain_bridge.client.keys import Key

_INCLUSION_SECONDS = 30.0


class Event(NamedTuple):
    type: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a transaction. `stage`: "check" when the chain did not take it in, "block" when it did."""

    stage: str
    code: int = 0
    codespace: str = ""
    log: str = ""
    data: str = ""
    events: list[Event] = field(default_factory=list)
    gas_used: int = 0
    seconds: int | None = None


def _read_admission(answer: bytes) -> Outcome:
    """What a `BroadcastTxResponse` says: its log may hold bytes that are no text, which protobuf's reader refuses."""
    response = _fields(_fields(answer)[1])
    codespace, code, log = (response.get(number, b"") for number in (3, 4, 6))
    return Outcome("check", code or 0, codespace.decode(), log.decode(errors="replace"))


def _fields(message: bytes) -> dict[int, Any]:
    return {field.field_number: field.data for field in UnknownFieldSet(Empty.FromString(message))}


class RawClient:
    """One chain, many keys; each transaction brings its own gas limit and fee."""

    def __init__(self, url: str, chain_id: str, denom: str) -> None:
        target = url.removeprefix("grpc+http://")
        self.channel = grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)])
        self.url, self.chain_id, self.denom = url, chain_id, denom
        self.auth, self.bank, self.node = AuthStub(self.channel), BankStub(self.channel), NodeStub(self.channel)
        self.transactions, self.wasm = TransactionStub(self.channel), WasmStub(self.channel)
        self._broadcast = self.channel.unary_unary(
            "/cosmos.tx.v1beta1.Service/BroadcastTx",
            request_serializer=BroadcastTxRequest.SerializeToString,
            response_deserializer=_read_admission,
        )

    def close(self) -> None:
        self.channel.close()

    def block_seconds(self) -> int:
        """The time of the newest block."""
        return int(self.node.GetLatestBlock(GetLatestBlockRequest()).block.header.time.seconds)

    def height(self) -> int:
        return int(self.node.GetLatestBlock(GetLatestBlockRequest()).block.header.height)

    def account(self, address: str) -> tuple[int, int]:
        """Account number and sequence."""
        account = BaseAccount()
        assert self.auth.Account(QueryAccountRequest(address=address)).account.Unpack(account)
        return account.account_number, account.sequence

    def balance(self, address: str) -> int:
        answer = self.bank.Balance(QueryBalanceRequest(address=address, denom=self.denom))
        return int(answer.balance.amount or 0)

    def sign(self, key: Key, messages: list[Any], gas: int, fee: str, **options: Any) -> bytes:
        """A transaction's bytes; options: granter, timeout_height, memo, sequence, chain_id."""
        number, sequence = self.account(key.address)
        transaction = Transaction()
        for message in messages:
            transaction.add_message(message)
        transaction.seal(
            SigningCfg.direct(key.wallet.public_key(), options.get("sequence", sequence)),
            fee=TxFee(fee or [], gas, granter=options.get("granter")),
            memo=options.get("memo", ""),
            timeout_height=options.get("timeout_height"),
        )
        transaction.sign(key.wallet.signer(), options.get("chain_id", self.chain_id), number)
        return bytes(transaction.complete().tx.SerializeToString())

    def simulate(self, data: bytes) -> tuple[int, str]:
        """Gas used and "", or 0 and why not."""
        try:
            return int(self.transactions.Simulate(SimulateRequest(tx_bytes=data)).gas_info.gas_used), ""
        except grpc.RpcError as error:
            return 0, f"{error.code().name}: {error.details()}"

    def broadcast(self, data: bytes) -> Outcome:
        """Hand a transaction over and wait for its block."""
        request = BroadcastTxRequest(tx_bytes=data, mode=BROADCAST_MODE_SYNC)
        admission = self._broadcast(request)
        if admission.code:
            return admission
        return self.outcome(hashlib.sha256(data).hexdigest().upper())

    def outcome(self, transaction_hash: str) -> Outcome:
        deadline = time.monotonic() + _INCLUSION_SECONDS
        while True:
            try:
                found = self.transactions.GetTx(GetTxRequest(hash=transaction_hash)).tx_response
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        events = [Event(item.type, tuple((pair.key, pair.value) for pair in item.attributes)) for item in found.events]
        seconds = int(datetime.fromisoformat(found.timestamp).timestamp())
        return Outcome("block", found.code, found.codespace, found.raw_log, found.data, events, found.gas_used, seconds)

    def query(self, contract: str, question: bytes) -> tuple[bytes, str]:
        """The contract's answer and "", or nothing and why not."""
        request = wasm_query.QuerySmartContractStateRequest(address=contract, query_data=question)
        try:
            return bytes(self.wasm.SmartContractState(request).data), ""
        except grpc.RpcError as error:
            return b"", f"{error.code().name}: {error.details()}"

    def contract_state(self, contract: str) -> dict[bytes, bytes]:
        """All that a contract stores."""
        state: dict[bytes, bytes] = {}
        page = b""
        while True:
            answer = self.wasm.AllContractState(
                wasm_query.QueryAllContractStateRequest(address=contract, pagination=PageRequest(key=page, limit=100))
            )
            state.update((bytes(model.key), bytes(model.value)) for model in answer.models)
            page = bytes(answer.pagination.next_key)
            if not page:
                return state
