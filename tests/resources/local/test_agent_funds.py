"""Agents without coins: when a fee grant is given anew, and what they are sent where there are no grants."""

from datetime import UTC, datetime, timedelta

import pytest

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.network import Network
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.networks.feegrants import Allowance
from resources.local.agent_funds import equip_agents, grant_limit, is_enough

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAKE = 700


@pytest.mark.parametrize(
    ("left", "days", "enough"),
    [(1000, 30, True), (250, 30, True), (249, 30, False), (1000, 2, False), (1000, 3, True), (None, None, True)],
)
def test_a_grant_is_renewed_before_it_runs_out(left, days, enough):
    expires = None if days is None else NOW + timedelta(days=days)
    assert is_enough(Allowance("a", "b", left, expires), 1000, NOW) is enough
    assert not is_enough(None, 1000, NOW)


@pytest.fixture
def place(tmp_path):
    """A chain that asks for fees, with a contract that asks for a stake: (network, operator)."""
    operator = load_or_create_key(tmp_path / "keys" / "operator.key", "atlas")
    chain = Chain(tmp_path / "chain", Settings("priced-1", gas_price=0.025))
    chain.fund(operator.address, 10**12)
    server = Server(chain)
    network = Network(chain_id="priced-1", url=server.url, gas_price=0.025)
    contract = deploy_contract(network, operator, CONTRACT_WASM, 60, challenge_seconds=0, min_stake=STAKE)
    yield network.model_copy(update={"contract": contract}), operator
    server.stop()
    chain.close()


@pytest.fixture
def agents(tmp_path):
    return [load_or_create_key(tmp_path / f"node-{number}" / "node.key", "atlas") for number in (1, 2)]


def register(network, key):
    with Ledger(network, key) as ledger:
        return ledger.register_node("compute", 1, "bafy", stake=STAKE)


def test_agents_get_their_stake_and_a_grant_once(place, agents):
    network, operator = place
    addresses = [key.address for key in agents]
    for _ in range(2):
        theirs = equip_agents(network, operator, addresses)
        assert theirs.fee_granter == operator.address
        with Ledger(network) as ledger:
            assert [ledger.balance(address) for address in addresses] == [STAKE, STAKE]
    assert [register(theirs, key) for key in agents] == [1, 2]
    equip_agents(network, operator, addresses)
    with Ledger(network) as ledger:
        assert [ledger.balance(address) for address in addresses] == [0, 0]


@pytest.fixture
def without_grants(monkeypatch):
    monkeypatch.setattr("chain_bridge.embedded.facade.server.add_grants", lambda service, server: None)


def test_where_there_are_no_grants_they_are_sent_coins(without_grants, place, agents):
    network, operator = place
    theirs = equip_agents(network, operator, [agents[0].address])
    assert theirs.fee_granter is None
    with Ledger(network) as ledger:
        assert ledger.balance(agents[0].address) == STAKE + grant_limit(network)
    assert register(theirs, agents[0]) == 1
