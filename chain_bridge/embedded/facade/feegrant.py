"""cosmos.feegrant: fee grants."""

import grpc
from cosmpy.protos.cosmos.feegrant.v1beta1 import query_pb2 as query
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2_grpc import QueryServicer

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.facade.refusals import refusals
from chain_bridge.embedded.state.addresses import read_account


class FeegrantService(QueryServicer):  # type: ignore[misc]
    """Serves grants that have not expired."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Allowance(  # noqa: N802
        self, request: query.QueryAllowanceRequest, context: grpc.ServicerContext
    ) -> query.QueryAllowanceResponse:
        """One grant."""
        with refusals(context):
            grant = self._chain.fee_grant(request.granter, request.grantee)
        return query.QueryAllowanceResponse(allowance=grant)

    def Allowances(  # noqa: N802
        self, request: query.QueryAllowancesRequest, context: grpc.ServicerContext
    ) -> query.QueryAllowancesResponse:
        """The grants to an address."""
        with refusals(context):
            grantee = read_account(request.grantee, self._chain.settings.prefix)
            grants = self._chain.fee_grants(grantee=grantee)
        return query.QueryAllowancesResponse(allowances=grants, pagination={"total": len(grants)})

    def AllowancesByGranter(  # noqa: N802
        self, request: query.QueryAllowancesByGranterRequest, context: grpc.ServicerContext
    ) -> query.QueryAllowancesByGranterResponse:
        """The grants by an address."""
        with refusals(context):
            granter = read_account(request.granter, self._chain.settings.prefix)
            grants = self._chain.fee_grants(granter=granter)
        return query.QueryAllowancesByGranterResponse(allowances=grants, pagination={"total": len(grants)})
