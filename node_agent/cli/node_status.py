"""A node's status from its journal and the chain; works whether or not the agent is running."""

from typing import Any

from pydantic import BaseModel

from chain_bridge.client.keys import read_key
from chain_bridge.client.messages import Node
from chain_bridge.errors import ChainError
from chain_bridge.ledger import Ledger
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.home.journal import Journal
from node_agent.home.lock import is_running
from node_agent.wire.messages import TaskReport


class NodeStatus(BaseModel):
    """What `atlas-node status` shows; amounts are in micro-units of `denom`."""

    running: bool
    address: str | None
    """None before the node's first start, which makes its key."""
    denom: str
    chain_error: str | None = None
    node: Node | None = None
    balance: int | None = None
    credit: int | None = None
    counts: dict[str, int]
    tasks: list[TaskReport]


def node_status(home: NodeHome, config: NodeConfig, limit: int) -> NodeStatus:
    """Read journal and chain; a chain that does not answer is part of the status, not an error."""
    key = read_key(home.key, config.network.prefix)
    address = None if key is None else key.address
    journal = Journal(home.journal)
    return NodeStatus(
        running=is_running(home),
        address=address,
        denom=config.network.denom,
        counts=dict(journal.counts()),
        tasks=[entry.report() for entry in journal.recent(limit)],
        **_on_chain(config, address),
    )


def _on_chain(config: NodeConfig, address: str | None) -> dict[str, Any]:
    with Ledger(config.network) as ledger:
        try:
            if address is None:
                ledger.height()  # raises if the chain does not answer
                return {}
            return {
                "node": ledger.node_of(address),
                "balance": ledger.balance(address),
                "credit": ledger.credit(address),
            }
        except ChainError as error:
            return {"chain_error": str(error)}
