import hashlib

import coincurve

from chain_bridge.client.heartbeats import heartbeat_digest_message, sign_heartbeat


def test_a_signed_heartbeat_is_checked_with_the_nodes_public_key(new_key):
    key = new_key("node")
    beat = sign_heartbeat(key, "atlas1contract", 7, 1_800_000_000)
    assert (beat.node, beat.at, len(beat.signature)) == (7, 1_800_000_000, 64)
    text = heartbeat_digest_message("atlas1contract", 7, 1_800_000_000)
    assert text == b"atlas-heartbeat:atlas1contract:7:1800000000"
    signature = coincurve.ecdsa.cdata_to_der(coincurve.ecdsa.deserialize_compact(beat.signature))
    public_key = coincurve.PublicKey(key.public_key)
    assert public_key.verify(signature, hashlib.sha256(text).digest(), hasher=None)
    other = heartbeat_digest_message("atlas1contract", 8, 1_800_000_000)
    assert not public_key.verify(signature, hashlib.sha256(other).digest(), hasher=None)
