"""A gRPC channel to a chain, and cosmpy's stubs on it."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryStub as AuthStub
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryStub as BankStub
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceStub as NodeStub
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2_grpc import QueryStub as FeeGrantStub
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import QueryStub as WasmStub

from chain_bridge.client.services import Services
from chain_bridge.client.transaction_answers import TransactionStub

NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STUBS = (AuthStub, BankStub, FeeGrantStub, NodeStub, TransactionStub, WasmStub)


def services_on(channel: grpc.Channel) -> Services:
    """The stubs on a channel."""
    return Services(*(stub(channel) for stub in _STUBS))


def chain_id_of(services: Services) -> str:
    """The id of the chain that the node serves."""
    return str(services.node.GetLatestBlock(GetLatestBlockRequest()).block.header.chain_id)


def open_channel(url: str, timeout: float) -> grpc.Channel:
    """A channel to grpc+http://HOST:PORT or grpc+https://…; `timeout`, in seconds, is the deadline of every call."""
    parts = urlsplit(url.removeprefix("grpc+"))
    secure = parts.scheme == "https"
    target = f"{parts.hostname}:{parts.port or (443 if secure else 80)}"
    options = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # A proxy set in the environment cannot reach this machine's loopback.
        ("grpc.enable_http_proxy", int(parts.hostname not in _LOOPBACK)),
    ]
    if secure:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    else:
        channel = grpc.insecure_channel(target, options)
    return grpc.intercept_channel(channel, _Deadline(timeout))


class _Details(NamedTuple):
    """The details of a call that gRPC passes to an interceptor."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Deadline(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Gives every call a deadline, which cosmpy's stubs leave out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """Pass the call on."""
        limited = _Details(
            details.method,
            self._seconds,
            details.metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(limited, request)
