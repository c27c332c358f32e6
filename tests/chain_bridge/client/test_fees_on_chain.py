"""A chain that asks for fees: who pays them, and what happens when they are not paid."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from chain_bridge.client.network import Network
from chain_bridge.embedded.chain import Settings
from chain_bridge.errors import InsufficientFee, InsufficientFunds
from chain_bridge.ledger import Ledger
from chain_bridge.networks.feegrants import GivenFeeGrants
from chain_bridge.outbox.outbox import Outbox

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
PRICE = 0.025


@pytest.fixture
def chain_settings():
    return Settings("atlas-test", gas_price=PRICE)


@pytest.fixture
def make_network():
    return lambda url: Network(chain_id="atlas-test", url=url, gas_price=PRICE)


def test_the_fee_follows_the_gas(operator):
    before = operator.balance(operator.address)
    operator.register_node("compute", 1, CID)
    paid = before - operator.balance(operator.address)
    used = operator.find(operator.heartbeat().hash).gas_used
    assert paid > math.ceil(used * PRICE)


def test_a_fee_below_the_chains_price_is_refused(operator, network, operator_key, chain):
    sequence = chain.sequence(operator.address)
    cheap, complaint = network.model_copy(update={"gas_price": PRICE / 2}), r"got: \d+uatl required: \d+uatl"
    with Ledger(cheap, operator_key) as ledger, pytest.raises(InsufficientFee, match=complaint):
        ledger.create_job("job", CID, CID, 1, 1, 1, 60, 2)
    assert operator.jobs() == []
    assert chain.sequence(operator.address) == sequence


def test_what_waits_survives_a_refused_fee(operator, network, operator_key, tmp_path):
    operator.register_node("compute", 1, CID)
    outbox = Outbox(tmp_path / "outbox.db")
    with Ledger(network.model_copy(update={"gas_price": PRICE / 2}), operator_key, outbox=outbox) as cheap:
        cheap.later("stake").add_stake(5)
        with pytest.raises(InsufficientFee):
            cheap.flush()
        assert cheap.backlog().waiting == 1
    with Ledger(network, operator_key, outbox=outbox) as paying:
        assert paying.flush().undecided == 0
        assert paying.node_of(paying.address).stake == 5


@pytest.fixture
def granted(network, operator_key, new_key):
    """The operator pays the fees of a node that has no coins; the node's network says so."""
    node = new_key("penniless").address
    grants = GivenFeeGrants(network, operator_key)
    grants.give([node], 10**6, datetime.fromtimestamp(1_800_000_000, UTC) + timedelta(days=1))
    yield network.model_copy(update={"fee_granter": operator_key.address})
    grants.close()


def test_a_node_without_coins_starts_by_a_grant(granted, operator, new_key):
    before = operator.balance(operator.address)
    with Ledger(granted, new_key("penniless")) as node:
        node.register_node("compute", 1, CID)
        node.heartbeat()
        assert node.balance(node.address) == 0
    assert operator.balance(operator.address) < before


def test_without_a_grant_there_is_no_fee(granted, operator, new_key):
    alone = granted.model_copy(update={"fee_granter": new_key("other").address})
    with Ledger(alone, new_key("penniless")) as node, pytest.raises(InsufficientFee, match="fee-grant not found"):
        node.register_node("compute", 1, CID)
    assert operator.nodes() == []


def test_a_key_without_coins_or_grant_cannot_send(operator, network, new_key):
    with Ledger(network, new_key("penniless")) as node, pytest.raises(InsufficientFunds, match="never held coins"):
        node.register_node("compute", 1, CID)
    assert operator.nodes() == []
