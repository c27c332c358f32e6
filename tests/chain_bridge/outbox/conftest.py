"""A machine whose ledger has an outbox, before a server that can be stopped and told to fail."""

import pytest

from chain_bridge.embedded.facade.server import Server
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox" / "node.db"


@pytest.fixture
def server(chain, faults):
    """Servers that tests may stop and start again at their port; `faults` are in place first."""
    servers = [Server(chain)]
    yield servers
    servers[-1].stop()


@pytest.fixture
def empty_network(server, make_network):
    return make_network(server[0].url)


@pytest.fixture
def node_key(new_key, chain):
    key = new_key("node")
    chain.fund(key.address, 10**6)
    return key


@pytest.fixture
def open_node(network, node_key, path):
    """`open_node()` gives a ledger with the outbox; `open_node(max_gas=…)` one with other settings."""
    opened = []

    def build(outbox=None, **settings):
        ledger = Ledger(
            network.model_copy(update=settings), node_key, inclusion_seconds=0.5, outbox=outbox or Outbox(path)
        )
        opened.append(ledger)
        return ledger

    yield build
    for ledger in opened:
        ledger.close()


@pytest.fixture
def node(open_node, faults):
    """The ledger of a registered machine; added stake shows how often a message has happened."""
    ledger = open_node()
    ledger.register_node("compute", 1, "bafy")
    faults.taken.clear()
    return ledger


@pytest.fixture
def stake():
    """`stake(ledger)` tells what was added to the stake of its node."""
    return lambda ledger: ledger.node_of(ledger.address).stake


@pytest.fixture
def record():
    """`record(ledger, 1, 2)` records that 1 and 2 shall be added to the stake."""
    return lambda ledger, *amounts: [ledger.later(f"add-{amount}").add_stake(amount) for amount in amounts]


@pytest.fixture
def states():
    """`states(ledger, 1, 2)` tells what became of these."""
    return lambda ledger, *amounts: [ledger.recorded(f"add-{amount}").state for amount in amounts]
