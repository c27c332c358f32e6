"""A node without coins starts, since another account pays its fees: for calls of contracts, to a limit, for a time."""

from datetime import UTC, datetime, timedelta

import pytest

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from chain_bridge.errors import ChainError, InsufficientFee
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.networks.faucet import send_coins
from chain_bridge.networks.feegrants import GivenFeeGrants, GrantError, GrantsUnsupported
from chain_bridge.networks.networks import LOCAL, find_preset

# Each test starts servers of its own.
pytestmark = pytest.mark.slow

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
LIMIT = 1_000_000


@pytest.fixture
def embedded(tmp_path, compiled_modules):
    """An embedded chain with the prices of the real one, and a key with coins."""
    preset = find_preset(LOCAL)
    key = load_or_create_key(tmp_path / "keys" / "operator.key", preset.prefix)
    chain = Chain(tmp_path / "priced", Settings(preset.chain_id, preset.prefix, preset.denom, gas_price=0.025))
    chain.fund(key.address, 10**12)
    server = Server(chain)
    yield preset.network(server.url), key
    server.stop()
    chain.close()


@pytest.fixture(params=["embedded", pytest.param("localnet", marks=pytest.mark.wasmd)])
def priced(request, tmp_path):
    """A chain that asks for fees, with the contract: (network, operator, a key that was never heard of)."""
    network, operator = request.getfixturevalue(request.param)
    contract = deploy_contract(network, operator, CONTRACT_WASM, heartbeat_seconds=60, challenge_seconds=0)
    node = load_or_create_key(tmp_path / "node" / "node.key", network.prefix)
    return network.model_copy(update={"contract": contract}), operator, node


@pytest.fixture
def grants(priced):
    network, operator, _ = priced
    grants = GivenFeeGrants(network, operator)
    yield grants
    grants.close()


def in_days(days):
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


@pytest.fixture
def poor(priced):
    """The ledger of the key without coins, whose fees the operator pays if it has granted that."""
    network, operator, node = priced
    with Ledger(network.model_copy(update={"fee_granter": operator.address}), node) as ledger:
        yield ledger


def test_a_node_without_coins_works_on_a_grant_and_stops_when_it_is_taken_back(priced, grants, poor):
    _, operator, node = priced
    with pytest.raises(ChainError):
        poor.register_node("compute", 2, CID)
    assert grants.find(node.address) is None

    grants.give([node.address], LIMIT, in_days(1))
    before = poor.balance(operator.address)
    assert poor.register_node("compute", 2, CID) == 1
    poor.heartbeat()
    paid = before - poor.balance(operator.address)
    assert 0 < paid < LIMIT
    assert grants.find(node.address).left == LIMIT - paid
    assert poor.balance(node.address) == 0

    grants.take_back([node.address])
    with pytest.raises(ChainError, match="fee-grant not found"):
        poor.heartbeat()
    assert grants.find(node.address) is None


def test_a_grant_pays_for_calls_of_contracts_only(priced, grants, poor):
    _, operator, node = priced
    grants.give([node.address], LIMIT, in_days(1))
    with pytest.raises(ChainError, match="message does not exist in allowed messages"):
        send_coins(poor.network, node, {operator.address: 1})


def test_a_grant_ends_at_its_limit(grants, priced, poor):
    _, _, node = priced
    grants.give([node.address], 10, in_days(1))
    with pytest.raises(InsufficientFee, match=r"fee limit exceeded.*atlas chain grant") as refused:
        poor.register_node("compute", 2, CID)
    assert str(refused.value).isprintable()
    assert poor.node_of(node.address) is None


def test_granting_again_replaces_the_grant(grants, priced):
    _, _, node = priced
    grants.give([node.address], LIMIT, in_days(1))
    later = in_days(2)
    grants.give([node.address, node.address], 5, later)
    found = grants.find(node.address)
    assert (found.left, found.expires) == (5, later)


def test_what_cannot_be_granted_or_taken_back_is_told(grants, priced):
    _, operator, node = priced
    with pytest.raises(GrantError, match="its own fees"):
        grants.give([operator.address], LIMIT, in_days(1))
    with pytest.raises(GrantError, match=node.address):
        grants.take_back([node.address])
    with pytest.raises(ChainError, match="bech32"):
        grants.give(["nonsense"], LIMIT, in_days(1))
    assert grants.find(node.address) is None


def test_a_chain_without_fee_grants_is_told(embedded, tmp_path, monkeypatch):
    priced, operator = embedded
    monkeypatch.setattr("chain_bridge.embedded.facade.server.add_grants", lambda service, server: None)
    chain = Chain(tmp_path / "without", Settings(priced.chain_id, priced.prefix, priced.denom, gas_price=0.025))
    server = Server(chain)
    grants = GivenFeeGrants(priced.model_copy(update={"url": server.url}), operator)
    with pytest.raises(GrantsUnsupported, match=r"does not support fee grants.*coins instead"):
        grants.give([load_or_create_key(tmp_path / "n" / "node.key", priced.prefix).address], LIMIT, in_days(1))
    grants.close()
    server.stop()
    chain.close()
