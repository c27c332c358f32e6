"""cosmos.bank: balances."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2 import (
    QueryAllBalancesRequest,
    QueryAllBalancesResponse,
    QueryBalanceRequest,
    QueryBalanceResponse,
)
from cosmpy.protos.cosmos.bank.v1beta1.query_pb2_grpc import QueryServicer

from chain_bridge.embedded.chain import Chain
from chain_bridge.embedded.errors import InvalidAddress
from chain_bridge.embedded.facade.refusals import refusals
from chain_bridge.embedded.state.addresses import read_account


class BankService(QueryServicer):  # type: ignore[misc]
    """Serves balances."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def Balance(self, request: QueryBalanceRequest, context: grpc.ServicerContext) -> QueryBalanceResponse:  # noqa: N802
        """An account's balance of one denomination."""
        with refusals(context), _addresses(context), self._chain.reading() as parts:
            address = read_account(request.address, parts.settings.prefix)
            amount = parts.bank.balance(address, request.denom)
        return QueryBalanceResponse(balance={"denom": request.denom, "amount": str(amount)})

    def AllBalances(  # noqa: N802
        self, request: QueryAllBalancesRequest, context: grpc.ServicerContext
    ) -> QueryAllBalancesResponse:
        """All balances of an account."""
        with refusals(context), _addresses(context), self._chain.reading() as parts:
            address = read_account(request.address, parts.settings.prefix)
            coins = parts.bank.balances(address)
        held = [{"denom": item.denom, "amount": str(item.amount)} for item in coins]
        return QueryAllBalancesResponse(balances=held)


@contextmanager
def _addresses(context: grpc.ServicerContext) -> Iterator[None]:
    """Report an invalid address with the status and text that this module uses for it."""
    try:
        yield
    except InvalidAddress as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"invalid address: {error.reason}")
