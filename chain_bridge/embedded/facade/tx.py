"""cosmos.tx: simulate, broadcast, look up, search."""

import grpc
from cosmpy.protos.cosmos.tx.v1beta1 import service_pb2 as service
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceServicer

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.errors import Refused, SearchRefused
from chain_bridge.embedded.facade.node import block_id, protobuf_block
from chain_bridge.embedded.facade.refusals import refusals

_MOST_RESULTS = 100


class Transactions(ServiceServicer):  # type: ignore[misc]
    """Serves transactions.

    A broadcast runs the transaction at once, but answers like a real node: only whether it was admitted. `GetTx`
    returns the outcome.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Simulate(self, request: service.SimulateRequest, context: grpc.ServicerContext) -> service.SimulateResponse:  # noqa: N802
        """The gas that a transaction would use."""
        with refusals(context):
            try:
                outcome = self._chain.simulate(request.tx_bytes or request.tx.SerializeToString())
            except Refused as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))
        answer = service.SimulateResponse()
        answer.gas_info.gas_used = outcome.gas_used
        return answer

    def BroadcastTx(  # noqa: N802
        self, request: service.BroadcastTxRequest, context: grpc.ServicerContext
    ) -> service.BroadcastTxResponse:
        """Submit a transaction."""
        with refusals(context):
            return service.BroadcastTxResponse(tx_response=self._chain.broadcast(request.tx_bytes))

    def GetTx(self, request: service.GetTxRequest, context: grpc.ServicerContext) -> service.GetTxResponse:  # noqa: N802
        """A transaction's outcome."""
        if not request.hash:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tx hash cannot be empty")
        found = self._chain.find(request.hash)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"tx not found: {request.hash}")
        return service.GetTxResponse.FromString(found)

    def GetTxsEvent(  # noqa: N802
        self, request: service.GetTxsEventRequest, context: grpc.ServicerContext
    ) -> service.GetTxsEventResponse:
        """The transactions that match a search, in pages, oldest first unless the request asks for descending order."""
        page, limit = request.page or 1, min(request.limit or _MOST_RESULTS, _MOST_RESULTS)
        with refusals(context):
            descending = request.order_by == service.ORDER_BY_DESC
            found, total = self._chain.search(
                request.query, descending=descending, limit=limit, offset=(page - 1) * limit
            )
            pages = max(1, -(-total // limit))
            if page > pages:
                text = f"page should be within [1, {pages}] range, given {page}"
                raise SearchRefused(f"failed to search for txs: {text}")
        records = [service.GetTxResponse.FromString(record) for record in found]
        return service.GetTxsEventResponse(
            txs=[record.tx for record in records],
            tx_responses=[record.tx_response for record in records],
            total=total,
        )

    def GetBlockWithTxs(  # noqa: N802
        self, request: service.GetBlockWithTxsRequest, context: grpc.ServicerContext
    ) -> service.GetBlockWithTxsResponse:
        """A block and its transactions."""
        with refusals(context):
            stored = self._chain.stored_block(request.height)
            found = self._chain.search(f"tx.height={request.height}", descending=False, limit=1, offset=0)[0]
        return service.GetBlockWithTxsResponse(
            txs=[service.GetTxResponse.FromString(record).tx for record in found],
            block_id=block_id(stored),
            block=protobuf_block(stored),
            pagination={"total": len(found)},
        )
