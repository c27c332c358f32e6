"""Fee grants: codes and texts are those of cosmos-sdk x/feegrant, as wasmd v0.61.14 gives them."""

import grpc
import pytest
from cosmpy.aerial.client import LedgerClient, NetworkConfig
from cosmpy.protos.cosmos.bank.v1beta1.tx_pb2 import MsgSend
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.feegrant.v1beta1.feegrant_pb2 import (
    AllowedMsgAllowance,
    BasicAllowance,
    PeriodicAllowance,
)
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2 import (
    QueryAllowanceRequest,
    QueryAllowancesByGranterRequest,
    QueryAllowancesRequest,
)
from cosmpy.protos.cosmos.feegrant.v1beta1.query_pb2_grpc import QueryStub
from cosmpy.protos.cosmos.feegrant.v1beta1.tx_pb2 import MsgGrantAllowance, MsgRevokeAllowance
from google.protobuf.any_pb2 import Any

from chain_bridge.embedded.errors import NoSuchGrant
from chain_bridge.embedded.facade.server import Server

GAS, FEE = 200_000, "5000uatl"
SEND = "/cosmos.bank.v1beta1.MsgSend"


def packed(message):
    box = Any()
    box.Pack(message, type_url_prefix="/")
    return box


def basic(limit=None, until=None):
    allowance = BasicAllowance(spend_limit=[Coin(denom="uatl", amount=str(limit))] if limit is not None else [])
    if until is not None:
        allowance.expiration.seconds = int(until)
    return allowance


def allowed(allowance, *types):
    return AllowedMsgAllowance(allowance=packed(allowance), allowed_messages=types)


@pytest.fixture
def poor(new_payer):
    return new_payer("poor")


@pytest.fixture
def grant(payer, poor):
    """Let the operator grant the poor an allowance, or somebody else."""

    def send(allowance, to=None):
        message = MsgGrantAllowance(
            granter=payer.key.address, grantee=to or poor.key.address, allowance=packed(allowance)
        )
        return payer.send(message, gas=GAS, fee=FEE)

    return send


@pytest.fixture
def use(payer, poor):
    """Let the poor spend a granted fee on sending the operator nothing that it has: the fee goes, the message fails."""

    def send(fee=FEE, times=1):
        message = MsgSend(
            from_address=poor.key.address,
            to_address=payer.key.address,
            amount=[Coin(denom="uatl", amount="1")],
        )
        return poor.send(*[message] * times, gas=GAS, fee=fee, granter=payer.key.address)

    return send


@pytest.fixture
def ask(priced):
    """The façade's grants, through gRPC."""
    server = Server(priced)
    with grpc.insecure_channel(server.url.removeprefix("grpc+http://")) as channel:
        yield QueryStub(channel)
    server.stop()


def test_a_grant_makes_the_account_and_pays(payer, poor, grant, use, events_of, genesis):
    made = grant(basic(limit=12_000))
    assert made.code == 0
    addresses = {"granter": payer.key.address, "grantee": poor.key.address}
    assert events_of(made, "set_feegrant") == [addresses | {"msg_index": "0"}]
    assert payer.chain.sequence(poor.key.address) == 0
    used = use()
    assert used.code == 5, "the message is refused, the fee was taken"
    assert events_of(used, "use_feegrant") == events_of(used, "update_feegrant") == [addresses]
    assert events_of(used, "tx")[0] == {"fee": FEE, "fee_payer": payer.key.address}
    assert payer.balance(payer.key.address) == genesis - 10_000
    assert payer.balance(poor.key.address) == 0
    left = BasicAllowance.FromString(payer.chain.fee_grant(**addresses).allowance.value)
    assert left.spend_limit[0].amount == "7000"


def test_a_spend_limit_holds_to_the_last_coin(payer, poor, grant, use, events_of):
    grant(basic(limit=10_000))
    use()
    refused = use(fee="5001uatl")
    text = f"{payer.key.address} does not allow to pay fees for {poor.key.address}: basic allowance: fee limit exceeded"
    assert (refused.codespace, refused.code, refused.raw_log) == ("feegrant", 2, text)
    last = use()
    assert len(events_of(last, "revoke_feegrant")) == 1, "what is used up goes"
    assert_missing(use())


def assert_missing(refused):
    assert (refused.codespace, refused.code) == ("sdk", 38)
    assert refused.raw_log.endswith("fee-grant not found: not found")


def test_a_grant_without_a_limit_goes_on(grant, use):
    grant(basic())
    for _ in range(3):
        assert use(fee="1000000uatl").code == 5


def test_a_grant_runs_out(clock, grant, use, payer):
    assert grant(basic(until=clock() + 10)).code == 0
    clock.advance(9)
    assert use().code == 5
    clock.advance(2)
    assert_missing(use())
    assert payer.chain.fee_grants(granter=payer.key.address) == []
    assert grant(basic(until=clock() + 10)).code == 0, "the old one is not in the way"


def test_a_grant_for_some_messages_alone(grant, use, payer, poor):
    grant(allowed(basic(limit=20_000), "/cosmwasm.wasm.v1.MsgExecuteContract"))
    refused = use()
    assert (refused.codespace, refused.code) == ("feegrant", 7)
    assert refused.raw_log.endswith("message does not exist in allowed messages: message not allowed")
    payer.send(MsgRevokeAllowance(granter=payer.key.address, grantee=poor.key.address), gas=GAS, fee=FEE)
    grant(allowed(basic(limit=20_000), "/cosmwasm.wasm.v1.MsgExecuteContract", SEND))
    assert use(times=2).code == 5
    kept = payer.chain.fee_grant(payer.key.address, poor.key.address).allowance
    inner = AllowedMsgAllowance()
    assert kept.Unpack(inner)
    assert BasicAllowance.FromString(inner.allowance.value).spend_limit[0].amount == "15000"


def test_a_revoked_grant_is_gone(grant, use, payer, poor, events_of):
    grant(basic())
    revoke = MsgRevokeAllowance(granter=payer.key.address, grantee=poor.key.address)
    assert len(events_of(payer.send(revoke, gas=GAS, fee=FEE), "revoke_feegrant")) == 1
    assert_missing(use())
    assert_missing(payer.send(revoke, gas=GAS, fee=FEE))


@pytest.mark.parametrize(
    ("allowance", "codespace", "code", "text"),
    [
        (basic(limit=0), "sdk", 10, "send amount is invalid: 0uatl: invalid coins"),
        (basic(until=1), "sdk", 18, "expiration is before current block time: invalid request"),
        (allowed(basic()), "feegrant", 6, "allowed messages shouldn't be empty: allowed messages are empty"),
        (AllowedMsgAllowance(allowed_messages=[SEND]), "feegrant", 5, "allowance should not be empty: no allowance"),
        (
            PeriodicAllowance(),
            "sdk",
            18,
            "the embedded chain does not support /cosmos.feegrant.v1beta1.PeriodicAllowance",
        ),
    ],
)
def test_grants_that_cannot_be_made(grant, payer, poor, allowance, codespace, code, text):
    failed = grant(allowance)
    assert (failed.codespace, failed.code) == (codespace, code)
    assert text in failed.raw_log
    with pytest.raises(NoSuchGrant):
        payer.chain.fee_grant(payer.key.address, poor.key.address)


def test_grants_are_for_others_and_only_once(grant, payer):
    assert grant(basic()).code == 0
    assert "fee allowance already exists: invalid request" in grant(basic(limit=5)).raw_log
    own = grant(basic(), to=payer.key.address)
    assert (own.code, own.raw_log.endswith("cannot self-grant fee authorization: invalid address")) == (7, True)


def test_grants_are_asked_for(ask, grant, payer, poor, clock):
    grant(basic(limit=9, until=clock() + 5))
    one = QueryAllowanceRequest(granter=payer.key.address, grantee=poor.key.address)
    assert ask.Allowance(one).allowance.grantee == poor.key.address
    assert len(ask.Allowances(QueryAllowancesRequest(grantee=poor.key.address)).allowances) == 1
    by = QueryAllowancesByGranterRequest(granter=payer.key.address)
    assert [item.grantee for item in ask.AllowancesByGranter(by).allowances] == [poor.key.address]
    clock.advance(6)
    with pytest.raises(grpc.RpcError) as caught:
        ask.Allowance(one)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert caught.value.details() == "fee-grant not found: not found"
    assert len(ask.AllowancesByGranter(by).allowances) == 0


def test_cosmpy_sees_the_accounts_that_there_are(priced, grant, payer, new_key):
    server = Server(priced)
    client = LedgerClient(NetworkConfig("atlas-test", 0.025, "uatl", "uatl", server.url))
    stranger = new_key("nobody yet")
    with pytest.raises(grpc.RpcError) as caught:
        client.query_account(stranger.address)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == f"account {stranger.address} not found"
    grant(basic(), to=stranger.address)
    assert client.query_account(stranger.address).sequence == 0
    server.stop()
