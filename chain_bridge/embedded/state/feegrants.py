"""Fee grants: accounts that pay the fees of others (cosmos-sdk `x/feegrant`)."""

from typing import Any

from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin as ProtoCoin
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import AllowedMsgAllowance, BasicAllowance, Grant
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.message import DecodeError

from chain_bridge.embedded.errors import GrantRefused, NoSuchGrant, Refused
from chain_bridge.embedded.gas import GasMeter
from chain_bridge.embedded.state.bank import Coin, check_coins, coin
from chain_bridge.embedded.state.database import Database

_KEY, _QUEUE_KEY = 43, 72
_LIMIT_EXCEEDED, _NO_ALLOWANCE, _NO_MESSAGES, _NOT_ALLOWED = 2, 5, 6, 7
_CHECK_MESSAGE = 10
_VALID = "(expires_ns IS NULL OR expires_ns >= ?)"


class FeeGrants:
    """Grants in the database, stored as serialized `Grant` messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, granter: str, grantee: str, time_ns: int = 0) -> Grant:
        """One grant that has not expired at this time; raises `NoSuchGrant`."""
        row = self._database.execute(
            f"SELECT record FROM fee_grants WHERE granter = ? AND grantee = ? AND {_VALID}",  # noqa: S608
            granter, grantee, time_ns,
        ).fetchone()  # fmt: skip
        if row is None:
            raise NoSuchGrant
        return Grant.FromString(row[0])

    def of(self, *, time_ns: int, granter: str = "", grantee: str = "") -> list[Grant]:
        """All grants by a granter or to a grantee that have not expired at this time."""
        column, address = ("granter", granter) if granter else ("grantee", grantee)
        rows = self._database.execute(
            f"SELECT record FROM fee_grants WHERE {column} = ? AND {_VALID} ORDER BY grantee, granter",  # noqa: S608
            address,
            time_ns,
        )
        return [Grant.FromString(record) for (record,) in rows]

    def prune(self, time_ns: int) -> None:
        """Delete the grants that have expired at this time, as the SDK does at the end of each block."""
        self._database.execute("DELETE FROM fee_grants WHERE expires_ns < ?", time_ns)

    def grant(self, granter: str, grantee: str, allowance: ProtoAny, time_ns: int, gas: GasMeter) -> None:
        """Create a grant; raises `Refused` if one exists, or if the allowance is malformed, unsupported or expired."""
        gas.charge_read(_KEY)
        gas.charge_read(_KEY)
        if self._exists(granter, grantee):
            raise Refused("fee allowance already exists: invalid request")
        basic = _basic(allowance)
        _check_limit(basic)
        expires_ns = _expiry(basic)
        if expires_ns is not None:
            if expires_ns < time_ns:
                raise Refused("expiration is before current block time: invalid request")
            gas.charge_write(_QUEUE_KEY)
        self._keep(Grant(granter=granter, grantee=grantee, allowance=allowance), expires_ns, gas)

    def revoke(self, granter: str, grantee: str, gas: GasMeter) -> None:
        """End a grant; raises `NoSuchGrant`."""
        record = self.find(granter, grantee)
        gas.charge_read(_KEY + record.ByteSize())
        gas.charge_remove()
        if _expiry(_basic(record.allowance)) is not None:
            gas.charge_remove()
        self._database.execute("DELETE FROM fee_grants WHERE granter = ? AND grantee = ?", granter, grantee)

    def use(self, granter: str, grantee: str, fee: list[Coin], messages: list[str], gas: GasMeter) -> bool:
        """Deduct a fee for these types of messages from a grant; return False if the grant is used up and removed.

        Raises `NoSuchGrant`, `GrantRefused`.
        """
        record = self.find(granter, grantee)
        gas.charge_read(_KEY + record.ByteSize())
        if record.allowance.Is(AllowedMsgAllowance.DESCRIPTOR):
            _check_messages(record.allowance, messages, gas)
        basic = _basic(record.allowance)
        if basic.spend_limit:
            left = _subtract(basic, fee)
            if not left:
                self.revoke(granter, grantee, gas)
                return False
            del basic.spend_limit[:]
            basic.spend_limit.extend(ProtoCoin(denom=item.denom, amount=str(item.amount)) for item in left)
        gas.charge_read(_KEY + record.ByteSize())
        allowance = _wrap(record.allowance, basic)
        self._keep(Grant(granter=granter, grantee=grantee, allowance=allowance), _expiry(basic), gas)
        return True

    def _exists(self, granter: str, grantee: str) -> bool:
        found = self._database.execute(
            "SELECT 1 FROM fee_grants WHERE granter = ? AND grantee = ?", granter, grantee
        ).fetchone()
        return found is not None

    def _keep(self, grant: Grant, expires_ns: int | None, gas: GasMeter) -> None:
        gas.charge_write(_KEY + grant.ByteSize())
        self._database.execute(
            "INSERT OR REPLACE INTO fee_grants VALUES (?, ?, ?, ?)",
            grant.granter, grant.grantee, expires_ns, grant.SerializeToString(),
        )  # fmt: skip


def _basic(allowance: ProtoAny) -> Any:
    """The limits of an allowance, unwrapped from its list of allowed messages if it has one."""
    basic, allowed = BasicAllowance(), AllowedMsgAllowance()
    try:
        if allowance.Unpack(basic):
            return basic
        if allowance.Unpack(allowed):
            if not allowed.HasField("allowance"):
                raise GrantRefused("allowance should not be empty: no allowance", _NO_ALLOWANCE)
            if not allowed.allowed_messages:
                raise GrantRefused("allowed messages shouldn't be empty: allowed messages are empty", _NO_MESSAGES)
            if allowed.allowance.Unpack(basic):
                return basic
    except DecodeError as error:
        raise Refused(f"{error}: tx parse error", "sdk", 2) from error
    raise Refused(f"the embedded chain does not support {allowance.type_url or 'empty allowance'}: invalid request")


def _wrap(allowance: ProtoAny, basic: Any) -> ProtoAny:
    """The allowance with its limits replaced by `basic`."""
    packed = ProtoAny()
    packed.Pack(basic, type_url_prefix="/")
    allowed = AllowedMsgAllowance()
    if not allowance.Unpack(allowed):
        return packed
    allowed.allowance.CopyFrom(packed)
    outer = ProtoAny()
    outer.Pack(allowed, type_url_prefix="/")
    return outer


def _check_limit(basic: Any) -> None:
    coins = [coin(item.denom, item.amount) for item in basic.spend_limit]
    check_coins(coins, f"send amount is invalid: {','.join(map(str, coins))}")


def _expiry(basic: Any) -> int | None:
    return int(basic.expiration.ToNanoseconds()) if basic.HasField("expiration") else None


def _check_messages(allowance: ProtoAny, messages: list[str], gas: GasMeter) -> None:
    allowed = AllowedMsgAllowance()
    allowance.Unpack(allowed)
    gas.charge(_CHECK_MESSAGE * (len(allowed.allowed_messages) + len(messages)), "check msg")
    if not set(messages) <= set(allowed.allowed_messages):
        raise GrantRefused("message does not exist in allowed messages: message not allowed", _NOT_ALLOWED)


def _subtract(basic: Any, fee: list[Coin]) -> list[Coin]:
    left = {item.denom: int(item.amount) for item in basic.spend_limit}
    for item in fee:
        left[item.denom] = left.get(item.denom, 0) - item.amount
        if left[item.denom] < 0:
            raise GrantRefused("basic allowance: fee limit exceeded", _LIMIT_EXCEEDED)
    return [Coin(denom, amount) for denom, amount in sorted(left.items()) if amount]
