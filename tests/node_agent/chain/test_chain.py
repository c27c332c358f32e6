"""A node's ledger: heartbeats that no chain heard are forgotten, since only the newest matters."""

from pathlib import Path

import pytest

from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from node_agent.chain.chain import node_key, open_ledger, reconcile
from node_agent.home.config import NodeConfig, NodeHome


def test_heartbeats_do_not_pile_up_while_the_chain_is_away(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    network = Network(chain_id="a/b", url="grpc+http://127.0.0.1:9", contract="atlas1c")
    config = NodeConfig(network=network, bus="nats://127.0.0.1:1", content=tmp_path)
    key = node_key(home, config)
    for _ in range(2):
        with open_ledger(home, config, key) as ledger:
            with pytest.raises(ChainUnreachable):
                reconcile(ledger)
            for _ in range(3):
                with pytest.raises(ChainUnreachable):
                    ledger.heartbeat()
            assert ledger.backlog().undecided == 0
    (found,) = (tmp_path / "outbox").glob("*.db")
    assert found.name == f"a%2Fb-{key.address}.db"
