"""A contract that asks for stakes and bonds, and whose waiting times are short."""

import pytest

from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from tests.support.chain.ledger_steps import BOND, CID, STAKE


@pytest.fixture
def network(empty_network, operator_key):
    """A contract that asks for stakes and bonds, and whose waiting times are short."""
    address = deploy_contract(
        empty_network,
        operator_key,
        CONTRACT_WASM,
        heartbeat_seconds=60,
        challenge_seconds=10,
        min_stake=STAKE,
        challenge_bond=BOND,
        dispute_seconds=20,
        unbonding_seconds=100,
        jail_seconds=50,
        abandon_seconds=200,
        audit_seconds=30,
        slash_bps=1000,
        max_batch=50,
    )
    return empty_network.model_copy(update={"contract": address})


@pytest.fixture
def rich(open_ledger, chain):
    """`rich("alice")` gives the ledger of that key, with coins."""

    def build(name):
        ledger = open_ledger(name)
        chain.fund(ledger.address, 10**6)
        return ledger

    return build


@pytest.fixture
def node(rich):
    ledger = rich("node")
    ledger.register_node("compute", 4, CID, stake=STAKE)
    return ledger
