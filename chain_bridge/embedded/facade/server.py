"""The gRPC server: loopback only."""

from concurrent.futures import ThreadPoolExecutor

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import add_QueryServicer_to_server as add_auth
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import add_QueryServicer_to_server as add_bank
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import add_ServiceServicer_to_server as add_tendermint
from cosmpy.protos.cosmos.consensus.v1.query_pb2_grpc import add_QueryServicer_to_server as add_consensus
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2_grpc import add_QueryServicer_to_server as add_grants
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import add_ServiceServicer_to_server as add_transactions
from cosmpy.protos.cosmwasm.wasm.v1.query_pb2_grpc import add_QueryServicer_to_server as add_wasm

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.facade.auth import Auth
from chain_bridge.embedded.facade.bank import BankService
from chain_bridge.embedded.facade.feegrant import FeegrantService
from chain_bridge.embedded.facade.node import Consensus, Tendermint
from chain_bridge.embedded.facade.tx import Transactions
from chain_bridge.embedded.facade.wasm import Wasm
from chain_bridge.errors import ChainError

_HOST = "127.0.0.1"
_THREADS = 16
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # otherwise a second server on the port would receive some of the calls
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


class Server:
    """Serves a chain until `stop`."""

    def __init__(self, chain: Chain, port: int = 0) -> None:
        """Start; port 0 chooses a free port. Raises `ChainError` when the port is taken."""
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="chain"), options=_OPTIONS)
        add_auth(Auth(chain), self._server)
        add_bank(BankService(chain), self._server)
        add_consensus(Consensus(chain), self._server)
        add_grants(FeegrantService(chain), self._server)
        add_tendermint(Tendermint(chain), self._server)
        add_transactions(Transactions(chain), self._server)
        add_wasm(Wasm(chain), self._server)
        try:
            self.port: int = self._server.add_insecure_port(f"{_HOST}:{port}")
        except RuntimeError as error:
            raise ChainError(f"Port {port} on {_HOST} is taken. Choose another, or 0 for a free one.") from error
        self._server.start()

    @property
    def url(self) -> str:
        """The address, in the form of `Network.url`."""
        return f"grpc+http://{_HOST}:{self.port}"

    def stop(self) -> None:
        """Accept no more calls and wait for those in progress."""
        self._server.stop(grace=5).wait()
