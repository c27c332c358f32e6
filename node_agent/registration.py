"""A node's place on chain: registered once, kept true to its settings."""

import logging

from atlas.content.cached import CachedStore
from atlas.content.local import LocalStore
from atlas.content.store import ContentStore, put_document
from chain_bridge.errors import InsufficientFunds, OutcomeUnknown
from chain_bridge.keys import Key
from chain_bridge.ledger import Ledger
from chain_bridge.messages import Node
from node_agent.chain import explain_poverty
from node_agent.config import NodeConfig, NodeHome
from node_agent.errors import ConfigError
from node_agent.machine import Machine

log = logging.getLogger(__name__)


def open_store(home: NodeHome, config: NodeConfig) -> CachedStore:
    """The node's own content over the content that it shares with the coordinator.

    Raises `ConfigError` when the shared folder is not there, since a new one in its place would be shared with nobody.
    """
    if not config.content.is_dir():
        raise ConfigError(f"`content` is {config.content}, which is no folder here. Mount it, or correct the settings.")
    return CachedStore(LocalStore(home.content), LocalStore(config.content))


def ensure_registered(ledger: Ledger, key: Key, store: ContentStore, machine: Machine) -> Node:
    """The node of the ledger's key, which is `key`: found, registered on the first start or after it was retired,
    updated when the machine has changed.

    Raises `ChainError`, `NodeError` that says what to do when the account cannot pay, or `ContentError` when the
    machine's description cannot be stored. Blocks.
    """
    manifest, capacity = put_document(store, machine.manifest(ledger.address)), machine.capacity
    node = ledger.node_of(ledger.address)
    try:
        if node is None or node.status == "retired":
            return _register(ledger, key, capacity, manifest)
        if (node.capacity, node.manifest, node.public_key) == (capacity, manifest, key.public_key):
            return node
        ledger.update_node(capacity, manifest, key.public_key)
    except InsufficientFunds as error:
        raise explain_poverty(ledger, error) from error
    log.info("node %d is updated: capacity %d, manifest %s", node.id, capacity, manifest)
    return ledger.node(node.id)


def _register(ledger: Ledger, key: Key, capacity: int, manifest: str) -> Node:
    try:
        stake = ledger.config().min_stake
        node_id = ledger.register_node("compute", capacity, manifest, stake, key.public_key)
        log.info("registered as node %d with a stake of %d", node_id, stake)
    except OutcomeUnknown:
        found = ledger.node_of(ledger.address)
        if found is None or found.status == "retired":
            raise
        node_id = found.id
    return ledger.node(node_id)
