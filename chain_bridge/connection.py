"""A chain's gRPC services through cosmpy's stubs, with a deadline on every call and typed errors."""

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryStub as AuthStub
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryStub as BankStub
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2 import GetLatestBlockRequest
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceStub as NodeStub
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2_grpc import QueryStub as FeeGrantStub
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import QueryStub as WasmStub

from chain_bridge.errors import ChainUnreachable, WrongChain
from chain_bridge.failures import explain
from chain_bridge.network import Network
from chain_bridge.transaction_answers import TransactionStub

_ANY_ANSWER = TypeVar("_ANY_ANSWER")
_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Services(NamedTuple):
    """Stubs of the modules that are used."""

    auth: Any
    bank: Any
    feegrant: Any
    node: Any
    transactions: Any
    wasm: Any


class Connection:
    """Connects on the first call, since gRPC does not survive a fork; checks then that it is the right chain."""

    def __init__(self, network: Network, timeout_seconds: float) -> None:
        self.network = network
        self._timeout = timeout_seconds
        self._lock = Lock()
        self._channel: grpc.Channel | None = None
        self._services: Services | None = None

    def ask(self, question: Callable[[Services], _ANY_ANSWER]) -> _ANY_ANSWER:
        """Make a call; raises `ChainUnreachable`, `WrongChain`, or what the chain's refusal means."""
        return self._call(question, self._connected())

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
            self._channel = self._services = None

    def _connected(self) -> Services:
        with self._lock:
            if self._services is None:
                if self._channel is None:
                    self._channel = _open_channel(self.network.url, self._timeout)
                services = Services(*(stub(self._channel) for stub in _STUBS))
                self._check_chain(services)
                self._services = services
            return self._services

    def _check_chain(self, services: Services) -> None:
        block = self._call(lambda chain: chain.node.GetLatestBlock(GetLatestBlockRequest()).block, services)
        if block.header.chain_id != self.network.chain_id:
            raise WrongChain(
                f"{self.network.url} serves the chain {block.header.chain_id}, not {self.network.chain_id}. "
                "Correct the network's url or chain_id."
            )

    def _call(self, question: Callable[[Services], _ANY_ANSWER], services: Services) -> _ANY_ANSWER:
        try:
            return question(services)
        except grpc.RpcError as error:
            if error.code() in _NO_ANSWER:
                raise ChainUnreachable(
                    f"No answer from the chain {self.network.chain_id} at {self.network.url}: {error.details()}. "
                    "Start it (an embedded one: python -m chain_bridge.embedded) or correct the network's url."
                ) from error
            raise explain(error.details() or "", error.code().name) from error


_STUBS = (AuthStub, BankStub, FeeGrantStub, NodeStub, TransactionStub, WasmStub)


class _Details(NamedTuple):
    """What gRPC passes along with a call."""

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


def _open_channel(url: str, timeout: float) -> grpc.Channel:
    parts = urlsplit(url.removeprefix("grpc+"))
    secure = parts.scheme == "https"
    target = f"{parts.hostname}:{parts.port or (443 if secure else 80)}"
    options = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # A proxy of the environment has no way to this machine's loopback.
        ("grpc.enable_http_proxy", int(parts.hostname not in _LOOPBACK)),
    ]
    if secure:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    else:
        channel = grpc.insecure_channel(target, options)
    return grpc.intercept_channel(channel, _Deadline(timeout))
