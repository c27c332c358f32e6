"""cosmos.base.tendermint and cosmos.consensus: the node, its newest block, its limits."""

import grpc
from cosmpy.protos.cosmos.base.tendermint.v1beta1 import query_pb2 as tendermint
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceServicer
from cosmpy.protos.cosmos.consensus.v1.query_pb2 import QueryParamsRequest, QueryParamsResponse
from cosmpy.protos.cosmos.consensus.v1.query_pb2_grpc import QueryServicer

from chain_bridge.embedded import gas
from chain_bridge.embedded.chain import Chain


class Tendermint(ServiceServicer):  # type: ignore[misc]
    """Blocks and the node's name."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def GetLatestBlock(  # noqa: N802
        self, request: tendermint.GetLatestBlockRequest, context: grpc.ServicerContext
    ) -> tendermint.GetLatestBlockResponse:
        """Height, time and chain id."""
        block = self._chain.latest_block()
        answer = tendermint.GetLatestBlockResponse()
        header = answer.block.header
        header.chain_id, header.height = block.chain_id, block.height
        header.time.FromNanoseconds(block.time_ns)
        return answer

    def GetNodeInfo(  # noqa: N802
        self, request: tendermint.GetNodeInfoRequest, context: grpc.ServicerContext
    ) -> tendermint.GetNodeInfoResponse:
        """What runs here; the SDK version is the one whose behaviour is followed."""
        answer = tendermint.GetNodeInfoResponse()
        answer.default_node_info.network = self._chain.settings.chain_id
        version = answer.application_version
        version.name = version.app_name = "atlas-embedded"
        version.version, version.cosmos_sdk_version = "1.0.0", "v0.53.0"
        return answer


class Consensus(QueryServicer):  # type: ignore[misc]
    """The block's gas limit."""

    def Params(self, request: QueryParamsRequest, context: grpc.ServicerContext) -> QueryParamsResponse:  # noqa: N802
        """Consensus parameters."""
        answer = QueryParamsResponse()
        answer.params.block.max_gas = gas.BLOCK_LIMIT
        return answer
