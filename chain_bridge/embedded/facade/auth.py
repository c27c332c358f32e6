"""cosmos.auth: accounts."""

import grpc
from cosmpy.protos.cosmos.auth.v1beta1.auth_pb2 import BaseAccount
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2 import QueryAccountRequest, QueryAccountResponse
from cosmpy.protos.cosmos.auth.v1beta1.query_pb2_grpc import QueryServicer

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.facade.refusals import refusals
from chain_bridge.embedded.state.accounts import account_number


class Auth(QueryServicer):  # type: ignore[misc]
    """Serves accounts. With a gas price of 0, every address has an account."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Account(self, request: QueryAccountRequest, context: grpc.ServicerContext) -> QueryAccountResponse:  # noqa: N802
        """An account's number and next sequence."""
        with refusals(context):
            account = BaseAccount(
                address=request.address,
                account_number=account_number(request.address),
                sequence=self._chain.sequence(request.address),
            )
        answer = QueryAccountResponse()
        answer.account.Pack(account, type_url_prefix="/")
        return answer
