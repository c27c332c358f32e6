"""A chain's gRPC services, with a deadline on every call and typed errors."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from chain_bridge.client.failures import explain
from chain_bridge.client.network import Network
from chain_bridge.client.services import Services
from chain_bridge.errors import ChainUnreachable, WrongChain

if TYPE_CHECKING:
    import grpc

_ANY_ANSWER = TypeVar("_ANY_ANSWER")


class Connection:
    """Connects on the first call, because gRPC does not survive a fork, and then checks the chain id.

    The first call also imports gRPC and cosmpy's stubs, so that programs which never call the chain start faster.
    """

    def __init__(self, network: Network, timeout_seconds: float) -> None:
        self.network = network
        self._timeout = timeout_seconds
        self._lock = Lock()
        self._channel: grpc.Channel | None = None
        self._services: Services | None = None

    def ask(self, question: Callable[[Services], _ANY_ANSWER]) -> _ANY_ANSWER:
        """Make a call; raises `ChainUnreachable`, `WrongChain`, or the error that `explain` maps a refusal to."""
        return self._call(question, self._connected())

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
            self._channel = self._services = None

    def _connected(self) -> Services:
        from chain_bridge.client.channel import open_channel, services_on

        with self._lock:
            if self._services is None:
                if self._channel is None:
                    self._channel = open_channel(self.network.url, self._timeout)
                services = services_on(self._channel)
                self._check_chain(services)
                self._services = services
            return self._services

    def _check_chain(self, services: Services) -> None:
        from chain_bridge.client.channel import chain_id_of

        found = self._call(chain_id_of, services)
        if found != self.network.chain_id:
            raise WrongChain(
                f"{self.network.url} serves the chain {found}, not {self.network.chain_id}. "
                "Correct the network's url or chain_id."
            )

    def _call(self, question: Callable[[Services], _ANY_ANSWER], services: Services) -> _ANY_ANSWER:
        import grpc

        from chain_bridge.client.channel import NO_ANSWER

        try:
            return question(services)
        except grpc.RpcError as error:
            if error.code() in NO_ANSWER:
                raise ChainUnreachable(
                    f"No answer from the chain {self.network.chain_id} at {self.network.url}: {error.details()}. "
                    "Start it (an embedded one: python -m chain_bridge.embedded) or correct the network's url."
                ) from error
            raise explain(error.details() or "", error.code().name) from error
