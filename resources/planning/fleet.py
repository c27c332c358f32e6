"""The registered nodes, as a plan needs them."""

from dataclasses import dataclass

from atlas.content.store import ContentStore
from atlas.home import AtlasHome
from chain_bridge.client.keys import read_key
from chain_bridge.client.messages import Node
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from node_agent.presence.machine import NodeManifest
from resources.nodes.node_manifests import NodeManifests
from resources.placement.filters import Candidate


@dataclass(frozen=True)
class Account:
    """The operator's account."""

    address: str
    balance: int


@dataclass(frozen=True)
class Fleet:
    """What the chain and the manifests say of the nodes. `account` is None if the operator has no key yet."""

    network: Network
    contract: str
    heartbeat_seconds: int
    nodes: list[tuple[Node, NodeManifest | None]]
    account: Account | None


def look_at_fleet(network: Network, home: AtlasHome, store: ContentStore) -> Fleet:
    """Read the nodes and the operator's balance from the chain; nothing is written. Raises `ChainError`."""
    key = read_key(home.operator_key, network.prefix)
    with Ledger(network) as ledger:
        nodes, manifests = ledger.nodes(), NodeManifests(store)
        manifests.read(node.manifest for node in nodes)
        return Fleet(
            network=network,
            contract=ledger.contract,
            heartbeat_seconds=ledger.config().heartbeat_seconds,
            nodes=[(node, manifests.get(node.manifest)) for node in nodes],
            account=Account(key.address, ledger.balance(key.address)) if key else None,
        )


def candidate_of(node: Node, manifest: NodeManifest | None) -> Candidate:
    """The node as the filters of placement see it."""
    if manifest is None:
        return Candidate(node)
    memory = None if manifest.gpus else manifest.memory_bytes // max(manifest.slots, 1)
    return Candidate(node, manifest.price, memory)


def hardware_of(manifest: NodeManifest | None) -> str | None:
    """A short description of a node's hardware; None if unknown."""
    if manifest is None:
        return None
    gpus = ", ".join(manifest.gpus) or "no GPU"
    return f"{gpus}; {manifest.cores} cores, {manifest.memory_bytes / 2**30:.0f} GiB"
