"""Parse a chain's answers about transactions even where the text of a refusal is not UTF-8.

wasmd v0.61 puts the raw bytes of two addresses into its error for a missing or used-up fee grant. Because of these
bytes, protobuf's parser rejects the whole answer.
"""

from collections.abc import Callable
from typing import Any

import grpc
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.tx.v1beta1 import service_pb2 as service
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceStub
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

_SERVICE = "/cosmos.tx.v1beta1.Service"
_HEIGHT, _HASH, _CODESPACE, _CODE, _LOG, _GAS_WANTED, _GAS_USED = 1, 2, 3, 4, 6, 9, 10


class TransactionStub(ServiceStub):  # type: ignore[misc]
    """cosmpy's stub, with a parser that accepts invalid UTF-8: such bytes become U+FFFD in the log."""

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__(channel)
        for name, request, answer in (
            ("BroadcastTx", service.BroadcastTxRequest, service.BroadcastTxResponse),
            ("GetTx", service.GetTxRequest, service.GetTxResponse),
        ):
            call = channel.unary_unary(
                f"{_SERVICE}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=_reader(answer),
            )
            setattr(self, name, call)


def _reader(kind: type[Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return kind.FromString(data)
        except DecodeError:
            number = kind.DESCRIPTOR.fields_by_name["tx_response"].number
            return kind(tx_response=_read_refusal(_fields(_fields(data)[number])))

    return read


def _read_refusal(found: dict[int, Any]) -> TxResponse:
    """A refused transaction's hash, code and log, without its events."""
    return TxResponse(
        height=found.get(_HEIGHT, 0),
        txhash=found.get(_HASH, b"").decode(),
        codespace=found.get(_CODESPACE, b"").decode(),
        code=found.get(_CODE, 0),
        raw_log=found.get(_LOG, b"").decode(errors="replace"),
        gas_wanted=found.get(_GAS_WANTED, 0),
        gas_used=found.get(_GAS_USED, 0),
    )


def _fields(message: bytes) -> dict[int, Any]:
    return {field.field_number: field.data for field in UnknownFieldSet(Empty.FromString(message))}
