"""A node's registration on chain: made once, and updated when its settings change."""

import logging
from collections.abc import Collection
from pathlib import Path

from atlas.content.places.open import open_cached_store
from atlas.content.store import ContentStore
from atlas.data.local_data import LocalData
from atlas.documents.stored import put_document
from atlas.ids import Cid
from chain_bridge.client.keys import Key
from chain_bridge.client.messages import Node, NodeKind
from chain_bridge.errors import InsufficientFunds, OutcomeUnknown
from chain_bridge.ledger import Ledger
from node_agent.chain.chain import explain_insufficient_funds
from node_agent.errors import ConfigError, NodeError
from node_agent.home.config import NodeConfig, NodeHome
from node_agent.presence.machine import Machine

log = logging.getLogger(__name__)


def open_store(home: NodeHome, config: NodeConfig) -> ContentStore:
    """The node's cache over the content that it shares with the coordinator.

    Raises `ConfigError` when the shared folder does not exist, because a new folder in its place would not be shared.
    """
    if isinstance(config.content, Path) and not config.content.is_dir():
        raise ConfigError(
            f"`content` is {config.content}, which is not a folder here. Mount it, or correct the settings."
        )
    return open_cached_store(config.content, home.content)


def ensure_registered(
    ledger: Ledger, key: Key, store: ContentStore, machine: Machine, data: Collection[LocalData] = ()
) -> Node:
    """The registered node of the ledger's key, which is `key`.

    It is registered on the first start or after it was retired, and updated when the machine or the `data` that it
    offers has changed. Raises `ChainError`, `NodeError` with the remedy when the account cannot pay or its node has
    another role, or `ContentError` when the machine's description cannot be stored. Blocks.
    """
    datasets = [put_document(store, one) for one in data]
    manifest, capacity = put_document(store, machine.manifest(ledger.address, datasets)), machine.capacity
    node = ledger.node_of(ledger.address)
    try:
        if node is None or node.status == "retired":
            return _register(ledger, key, machine.role, capacity, manifest)
        if node.kind != machine.role:
            raise NodeError(
                f"Node {node.id} of {node.owner} is registered for {node.kind}, and `role` in the settings is "
                f"{machine.role}. Retire it with `atlas-node deregister`, then start again; or give each role a folder "
                "and so a key of its own (--home)."
            )
        if (node.capacity, node.manifest, node.public_key) == (capacity, manifest, key.public_key):
            return node
        ledger.update_node(capacity, manifest, key.public_key)
    except InsufficientFunds as error:
        raise explain_insufficient_funds(ledger, error) from error
    log.info("node %d is updated: capacity %d, manifest %s", node.id, capacity, manifest)
    return ledger.node(node.id)


def _register(ledger: Ledger, key: Key, role: NodeKind, capacity: int, manifest: Cid) -> Node:
    try:
        stake = ledger.config().min_stake
        node_id = ledger.register_node(role, capacity, manifest, stake, key.public_key)
        log.info("registered as node %d with a stake of %d", node_id, stake)
    except OutcomeUnknown:
        found = ledger.node_of(ledger.address)
        if found is None or found.status == "retired":
            raise
        node_id = found.id
    return ledger.node(node_id)
