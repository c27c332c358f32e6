"""cosmos.base.tendermint and cosmos.consensus: the node, its blocks, its limits."""

import grpc
from cosmpy.protos.cosmos.base.tendermint.v1beta1 import query_pb2 as tendermint
from cosmpy.protos.cosmos.base.tendermint.v1beta1.query_pb2_grpc import ServiceServicer
from cosmpy.protos.cosmos.consensus.v1.query_pb2 import QueryParamsRequest, QueryParamsResponse
from cosmpy.protos.cosmos.consensus.v1.query_pb2_grpc import QueryServicer
from cosmpy.protos.tendermint.types.block_pb2 import Block
from cosmpy.protos.tendermint.types.types_pb2 import BlockID

from chain_bridge.embedded.blocks import StoredBlock
from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.errors import NoSuchBlock
from chain_bridge.embedded.facade.refusals import refusals


class Tendermint(ServiceServicer):  # type: ignore[misc]
    """Blocks and the node's name."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def GetLatestBlock(  # noqa: N802
        self, request: tendermint.GetLatestBlockRequest, context: grpc.ServicerContext
    ) -> tendermint.GetLatestBlockResponse:
        """The newest block, with the clock's current time, as if an empty block had just been made."""
        with refusals(context), self._chain.reading():
            stored, now = self._chain.stored_block(), self._chain.latest_block()
        answer = tendermint.GetLatestBlockResponse(block_id=block_id(stored), block=protobuf_block(stored))
        answer.block.header.time.FromNanoseconds(now.time_ns)
        return answer

    def GetBlockByHeight(  # noqa: N802
        self, request: tendermint.GetBlockByHeightRequest, context: grpc.ServicerContext
    ) -> tendermint.GetBlockByHeightResponse:
        """One block."""
        if request.height < 1:
            text = f"height must be greater than 0, but got {request.height}"
            context.abort(grpc.StatusCode.UNKNOWN, text)
        try:
            stored = self._chain.stored_block(request.height)
        except NoSuchBlock:
            text = "requested block height is bigger then the chain length"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        return tendermint.GetBlockByHeightResponse(block_id=block_id(stored), block=protobuf_block(stored))

    def GetNodeInfo(  # noqa: N802
        self, request: tendermint.GetNodeInfoRequest, context: grpc.ServicerContext
    ) -> tendermint.GetNodeInfoResponse:
        """The node's name and version; the SDK version is the one whose behaviour this chain reproduces."""
        answer = tendermint.GetNodeInfoResponse()
        answer.default_node_info.network = self._chain.settings.chain_id
        version = answer.application_version
        version.name = version.app_name = "atlas-embedded"
        version.version, version.cosmos_sdk_version = "1.0.0", "v0.53.6"
        return answer


class Consensus(QueryServicer):  # type: ignore[misc]
    """The block's gas limit."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Params(self, request: QueryParamsRequest, context: grpc.ServicerContext) -> QueryParamsResponse:  # noqa: N802
        """Consensus parameters."""
        answer = QueryParamsResponse()
        answer.params.block.max_gas = self._chain.settings.block_gas
        return answer


def block_id(stored: StoredBlock) -> BlockID:
    """The id of a block: its hash, which changes if the chain is reset."""
    return BlockID(hash=stored.hash)


def protobuf_block(stored: StoredBlock) -> Block:
    """A block with its transaction's bytes."""
    answer = Block()
    header = answer.header
    header.chain_id, header.height = stored.block.chain_id, stored.block.height
    header.time.FromNanoseconds(stored.block.time_ns)
    header.last_block_id.hash = stored.previous
    if stored.data:
        answer.data.txs.append(stored.data)
    return answer
