"""Nodes: registration, stake, heartbeats, retirement."""

import base64

from chain_bridge.client.keys import Key
from tests.support.conformance.both_chains import Ask, Do, Scene, Vector


def register(kind: str = "compute", capacity: int = 4, public_key: bytes | None = None) -> dict:
    key = None if public_key is None else base64.b64encode(public_key).decode()
    return {"register_node": {"kind": kind, "capacity": capacity, "manifest": "bafymanifest", "public_key": key}}


def stakes(scene: Scene) -> list[Do | Ask]:
    return [
        Do("ann", {"add_stake": {}}, "5uatl", refused="has no node"),
        Do("ann", register(), "99uatl", refused="below the least stake of 100"),
        Do("ann", register(), refused="No funds sent"),
        Do("ann", register(), "100ufoo", refused="insufficient funds"),
        Do("ann", register(capacity=0), "100uatl", refused="capacity"),
        Do("ann", register(capacity=1001), "100uatl", refused="capacity"),
        Do("ann", register(kind="quantum"), "100uatl", refused="unknown variant"),
        Do("ann", register(public_key=b"short"), "100uatl", refused="33 bytes"),
        Do("ann", register(), "250uatl"),
        Do("ann", register(), "250uatl", refused="already has node 1"),
        Do("bob", register("storage", 7, scene.keys["bob"].public_key), "100uatl"),
        Do("ann", {"update_node": {"capacity": 9, "manifest": None, "public_key": None}}),
        Do("ann", {"update_node": {"capacity": None, "manifest": "", "public_key": None}}, refused="manifest"),
        Do("ann", {"update_node": {"capacity": 9, "manifest": None, "public_key": None}}, "1uatl", refused="funds"),
        Do("eve", {"update_node": {"capacity": 9, "manifest": None, "public_key": None}}, refused="has no node"),
        Do("ann", {"add_stake": {}}, refused="No funds sent"),
        Do("ann", {"add_stake": {}}, "50uatl"),
        Do("ann", {"withdraw_stake": {"amount": "201"}}, refused="below the least stake"),
        Do("ann", {"withdraw_stake": {"amount": "0"}}, refused="amount"),
        Do("ann", {"withdraw_stake": {"amount": "-1"}}, refused="Error parsing"),
        Do("ann", {"claim_stake": {}}, refused="no stake to claim"),
        Do("ann", {"withdraw_stake": {"amount": "120"}}),
        Do("ann", {"claim_stake": {}}, refused="1 are unbonding"),
        Ask({"node": {"id": 1}}),
        Do("ann", {"claim_stake": {}}, wait=9),
        Ask({"credit": {"address": scene["ann"]}}),
        Do("bob", {"unjail": {}}, "100uatl", refused="active, not jailed"),
        Do("bob", {"deregister_node": {}}),
        Do("bob", {"heartbeat": {}}, refused="retired"),
        Do("bob", {"deregister_node": {}}, refused="retired"),
        Ask({"node_of": {"owner": scene["bob"]}}),
        Do("bob", register("storage", 3), "140uatl"),
        Do("ann", {"withdraw": {}}),
        Do("ann", {"withdraw": {}}, refused="has no credit"),
        Do("eve", {"withdraw": {}}, refused="has no credit"),
        Do("cem", register(), "100uatl"),
        Ask({"nodes": {}}),
        Ask({"nodes": {"start_after": 1, "limit": 1}}),
        Ask({"nodes": {"limit": 101}}),
        Ask({"node": {"id": 9}}, refused="node 9 is not registered"),
        Ask({"node_of": {"owner": scene["eve"]}}),
        Ask({"node_of": {"owner": "wasm1nonsense"}}, refused="addr_validate errored"),
        Ask({"totals": {}}),
    ]


def beat(key: Key, contract: str, node: int, at: int) -> dict:
    """A heartbeat as its node signs it."""
    signature = key.sign(f"atlas-heartbeat:{contract}:{node}:{at}".encode())
    return {"node": node, "at": at, "signature": base64.b64encode(signature).decode()}


def heartbeats(scene: Scene) -> list[Do | Ask]:
    ann, bob = scene.keys["ann"], scene.keys["bob"]

    def bring(*beats: tuple[Key, int, int]):
        """Of (key, node, seconds from now)."""
        return lambda now: {
            "heartbeat_batch": {"beats": [beat(key, scene.contract, node, now + after) for key, node, after in beats]}
        }

    return [
        Do("ann", register(public_key=ann.public_key)),
        Do("bob", register(public_key=bob.public_key)),
        Do("cem", register()),
        Do("dora", {"heartbeat": {}}, refused="has no node"),
        Do("ann", {"heartbeat": {}}, "1uatl", refused="funds"),
        Do("cem", {"heartbeat": {}}, wait=1),
        Do("eve", {"heartbeat_batch": {"beats": []}}, refused="batch has 0 items"),
        Do("eve", bring((ann, 1, 0), (bob, 2, 0)), wait=2),
        Do("eve", bring((ann, 1, -60)), refused="not newer"),
        Do("eve", bring((ann, 1, 7200)), refused="of the future"),
        Do("eve", bring((bob, 1, 1)), refused="is not signed"),
        Do("eve", bring((ann, 1, 1), (bob, 1, 2)), refused="is not signed"),
        Do("eve", bring((ann, 3, 1)), refused="has no public key"),
        Do("eve", bring((ann, 9, 1)), refused="node 9 is not registered"),
        Do("eve", bring((ann, 1, 3)), wait=2),
        Ask({"nodes": {}}),
    ]


VECTORS = [
    Vector("stakes", {"min_stake": "100", "unbonding_seconds": 7}, stakes),
    Vector("heartbeats", {}, heartbeats),
]
