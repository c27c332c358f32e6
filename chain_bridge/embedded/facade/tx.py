"""cosmos.tx: simulate, broadcast, look up."""

import grpc
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import (
    BroadcastTxRequest,
    BroadcastTxResponse,
    GetTxRequest,
    GetTxResponse,
    SimulateRequest,
    SimulateResponse,
)
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2_grpc import ServiceServicer

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.facade.refusals import refusals


class Transactions(ServiceServicer):  # type: ignore[misc]
    """A broadcast runs at once, yet answers as a real node does: taken in or not; the outcome is in `GetTx`."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Simulate(self, request: SimulateRequest, context: grpc.ServicerContext) -> SimulateResponse:  # noqa: N802
        """The gas that a transaction would use."""
        with refusals(context):
            outcome = self._chain.simulate(request.tx_bytes or request.tx.SerializeToString())
        answer = SimulateResponse()
        answer.gas_info.gas_used = outcome.gas_used
        return answer

    def BroadcastTx(self, request: BroadcastTxRequest, context: grpc.ServicerContext) -> BroadcastTxResponse:  # noqa: N802
        """Take in a transaction."""
        return BroadcastTxResponse(tx_response=self._chain.broadcast(request.tx_bytes))

    def GetTx(self, request: GetTxRequest, context: grpc.ServicerContext) -> GetTxResponse:  # noqa: N802
        """A transaction's outcome."""
        found = self._chain.find(request.hash)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"tx not found: {request.hash}")
        return GetTxResponse.FromString(found)
