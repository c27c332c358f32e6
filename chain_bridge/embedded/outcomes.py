"""The outcome of a transaction, and its protobuf record."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxMsgData, TxResponse
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse
from cosmpy.protos.cosmos.tx.v1beta1.tx_pb2 import AuthInfo, Tx, TxBody
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.message import Message

from chain_bridge.embedded.blocks import Block
from chain_bridge.embedded.errors import Refused
from chain_bridge.embedded.execution.events import Event
from chain_bridge.embedded.execution.transactions import Transaction


@dataclass(frozen=True)
class Outcome:
    """Code 0 with events and answers, or the code and text of a refusal."""

    gas_used: int
    code: int = 0
    codespace: str = ""
    log: str = ""
    events: list[Event] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)


def admitted(transaction_hash: str) -> TxResponse:
    """The answer to an admitted broadcast; clients query the outcome by hash."""
    return TxResponse(txhash=transaction_hash)


def refused(transaction_hash: str, error: Refused) -> TxResponse:
    """The answer to a refused broadcast, which changed nothing."""
    return TxResponse(txhash=transaction_hash, code=error.code, codespace=error.codespace, raw_log=str(error))


def record(transaction: Transaction, outcome: Outcome, block: Block) -> GetTxResponse:
    """The record of a transaction: the answer to a query for its outcome."""
    answer = GetTxResponse(
        tx=Tx(
            body=TxBody.FromString(transaction.raw.body_bytes),
            auth_info=AuthInfo.FromString(transaction.raw.auth_info_bytes),
            signatures=transaction.raw.signatures,
        ),
        tx_response=TxResponse(
            txhash=transaction.hash,
            height=block.height,
            code=outcome.code,
            codespace=outcome.codespace,
            raw_log=outcome.log,
            data=_data(outcome.answers),
            gas_wanted=transaction.gas_limit,
            gas_used=outcome.gas_used,
            timestamp=datetime.fromtimestamp(block.time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    )
    for item in outcome.events:
        event = answer.tx_response.events.add(type=item.type)
        for key, value in item.attributes:
            event.attributes.add(key=key, value=value, index=True)
    return answer


def _data(answers: list[Message]) -> str:
    data = TxMsgData()
    for answer in answers:
        packed = ProtoAny()
        packed.Pack(answer, type_url_prefix="/")
        data.msg_responses.append(packed)
    return str(data.SerializeToString().hex().upper())
