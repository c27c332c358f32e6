"""Fee grants: one account pays another's fees, only for contract calls, up to a limit and an expiry date.

A node without coins needs a grant to register, to send heartbeats, and to withdraw its first credit.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import AllowedMsgAllowance, BasicAllowance, Grant
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2 import QueryAllowanceRequest
from cosmpy.protos.cosmos.feegrant.v1beta1.tx_pb2 import MsgGrantAllowance, MsgRevokeAllowance

from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.client.sender import Sender
from chain_bridge.errors import ChainError

CALL_OF_A_CONTRACT = "/cosmwasm.wasm.v1.MsgExecuteContract"
_NO_GRANT = "fee-grant not found"
_TIMEOUT_SECONDS = 15.0


class GrantError(ChainError):
    """A fee grant cannot be given, read or revoked."""


class GrantsUnsupported(GrantError):
    """The chain has no fee grants."""


@dataclass(frozen=True)
class Allowance:
    """The remaining allowance of a grant."""

    granter: str
    grantee: str
    left: int | None
    """In the network's denomination; None means no limit."""
    expires: datetime | None


class GivenFeeGrants:
    """The grants that a key gives. It opens a connection, so call `close`."""

    def __init__(self, network: Network, key: Key) -> None:
        self._network = network
        self._key = key
        self._connection = Connection(network, _TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def find(self, grantee: str) -> Allowance | None:
        """The grant of this key to an address, or None; raises `GrantsUnsupported`."""
        request = QueryAllowanceRequest(granter=self._key.address, grantee=grantee)
        try:
            grant = self._connection.ask(lambda chain: chain.feegrant.Allowance(request).allowance)
        except ChainError as error:
            if _NO_GRANT in str(error):
                return None
            if _has_no_such_service(error):
                raise GrantsUnsupported(
                    f"The chain {self._network.chain_id} does not support fee grants. Send {grantee} some coins "
                    "instead."
                ) from error
            raise
        return _allowance(grant, self._network.denom)

    def give(self, grantees: list[str], limit: int, expires: datetime) -> TxResponse:
        """Grant fees up to `limit` until a date, all or none; an existing grant of an address is replaced.

        Raises `GrantError`, and the errors of `Sender.send`.
        """
        if self._key.address in grantees:
            raise GrantError(f"{self._key.address} pays its own fees; grant them to another address.")
        messages: list[MsgRevokeAllowance | MsgGrantAllowance] = []
        for grantee in sorted(set(grantees)):
            if self.find(grantee) is not None:
                messages.append(self._revocation(grantee))
            messages.append(_grant(self._network, self._key.address, grantee, limit, expires))
        return self._send(messages)

    def take_back(self, grantees: list[str]) -> TxResponse:
        """Revoke the grants of these addresses, all or none; raises `GrantError` when an address has no grant."""
        without = [grantee for grantee in grantees if self.find(grantee) is None]
        if without:
            raise GrantError(f"{self._key.address} grants no fees to {', '.join(without)}.")
        return self._send([self._revocation(grantee) for grantee in sorted(set(grantees))])

    def _revocation(self, grantee: str) -> MsgRevokeAllowance:
        return MsgRevokeAllowance(granter=self._key.address, grantee=grantee)

    def _send(self, messages: list[MsgRevokeAllowance | MsgGrantAllowance]) -> TxResponse:
        return Sender(self._connection, self._key, inclusion_seconds=60.0).send(messages)


def _has_no_such_service(error: ChainError) -> bool:
    cause = error.__cause__
    return isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNIMPLEMENTED


def _grant(network: Network, granter: str, grantee: str, limit: int, expires: datetime) -> MsgGrantAllowance:
    basic = BasicAllowance(spend_limit=[Coin(denom=network.denom, amount=str(limit))])
    basic.expiration.FromDatetime(expires.astimezone(UTC))
    allowed = AllowedMsgAllowance(allowed_messages=[CALL_OF_A_CONTRACT])
    allowed.allowance.Pack(basic, type_url_prefix="/")
    message = MsgGrantAllowance(granter=granter, grantee=grantee)
    message.allowance.Pack(allowed, type_url_prefix="/")
    return message


def _allowance(grant: Grant, denom: str) -> Allowance:
    packed, allowed, basic = grant.allowance, AllowedMsgAllowance(), BasicAllowance()
    if packed.Unpack(allowed):
        packed = allowed.allowance
    if not packed.Unpack(basic):
        raise GrantError(
            f"{grant.granter} grants fees to {grant.grantee} with a kind of grant that is not known here: {packed}."
        )
    limits = {coin.denom: int(coin.amount) for coin in basic.spend_limit}
    return Allowance(
        granter=grant.granter,
        grantee=grant.grantee,
        left=limits.get(denom, 0) if limits else None,
        expires=basic.expiration.ToDatetime(UTC) if basic.HasField("expiration") else None,
    )
