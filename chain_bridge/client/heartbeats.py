"""Heartbeats that a node signs and another account submits to the chain and pays for."""

from atlas.signing import Signer
from chain_bridge.client.messages import SignedBeat


def heartbeat_digest_message(contract: str, node: int, at: int) -> bytes:
    """The text whose SHA-256 a node signs as its heartbeat at `at`, in unix seconds."""
    return f"atlas-heartbeat:{contract}:{node}:{at}".encode()


def sign_heartbeat(key: Signer, contract: str, node: int, at: int) -> SignedBeat:
    """A heartbeat of `node`, signed by the key whose public key the node has registered."""
    return SignedBeat(node, at, key.sign(heartbeat_digest_message(contract, node, at)))
