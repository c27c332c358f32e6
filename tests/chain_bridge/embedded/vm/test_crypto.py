import hashlib

import coincurve
import pytest
from coincurve.ecdsa import der_to_cdata, serialize_compact
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from chain_bridge.embedded.vm import crypto

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = coincurve.PrivateKey(b"\7" * 32)
DIGEST = hashlib.sha256(b"message").digest()
SIGNATURE = bytes(serialize_compact(der_to_cdata(KEY.sign(b"message"))))
HIGH = SIGNATURE[:32] + (ORDER - int.from_bytes(SIGNATURE[32:], "big")).to_bytes(32, "big")
PUBLIC = KEY.public_key.format(compressed=False)


@pytest.mark.parametrize("signature", [SIGNATURE, HIGH])
@pytest.mark.parametrize("public_key", [PUBLIC, KEY.public_key.format(compressed=True)])
def test_secp256k1_takes_low_and_high_s(signature, public_key):
    assert crypto.secp256k1_verify(DIGEST, signature, public_key) == crypto.VALID


@given(st.integers(0, 95), st.integers(1, 255))
def test_secp256k1_notices_a_changed_byte(position, change):
    data = bytearray(DIGEST + SIGNATURE)
    data[position] ^= change
    assert crypto.secp256k1_verify(bytes(data[:32]), bytes(data[32:]), PUBLIC) != crypto.VALID


def test_secp256k1_names_malformed_parts():
    assert crypto.secp256k1_verify(DIGEST[1:], SIGNATURE, PUBLIC) == crypto.BAD_HASH
    assert crypto.secp256k1_verify(DIGEST, SIGNATURE[1:], PUBLIC) == crypto.BAD_SIGNATURE
    assert crypto.secp256k1_verify(DIGEST, SIGNATURE, b"\4" * 65) == crypto.BAD_PUBLIC_KEY
    assert crypto.secp256k1_verify(DIGEST, b"\xff" * 64, PUBLIC) != crypto.VALID


def test_secp256k1_recovers_the_key():
    raw = KEY.sign_recoverable(DIGEST, hasher=None)
    assert crypto.secp256k1_recover(DIGEST, raw[:64], raw[64]) == PUBLIC
    assert crypto.secp256k1_recover(DIGEST, raw[:64], 1 - raw[64]) != PUBLIC
    assert crypto.secp256k1_recover(DIGEST, raw[:64], 2) == crypto.BAD_RECOVERY
    assert crypto.secp256k1_recover(DIGEST, b"\xff" * 64, 0) == crypto.FAILED
    assert crypto.secp256k1_recover(DIGEST[1:], raw[:64], 0) == crypto.BAD_HASH
    assert crypto.secp256k1_recover(DIGEST, raw[1:64], 0) == crypto.BAD_SIGNATURE


def test_ed25519_takes_the_vector_of_rfc_8032():
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert crypto.ed25519_verify(b"\x72", signature, public) == crypto.VALID
    assert crypto.ed25519_verify(b"\x73", signature, public) == crypto.INVALID
    assert crypto.ed25519_verify(b"\x72", signature[1:], public) == crypto.BAD_SIGNATURE
    assert crypto.ed25519_verify(b"\x72", signature, public[1:]) == crypto.BAD_PUBLIC_KEY


def test_ed25519_batches():
    keys = [SigningKey(bytes([number]) * 32) for number in range(3)]
    publics = [bytes(key.verify_key) for key in keys]
    messages = [b"a", b"b", b"c"]
    each = [bytes(key.sign(message).signature) for key, message in zip(keys, messages, strict=True)]
    same_message = [bytes(key.sign(b"a").signature) for key in keys]
    same_key = [bytes(keys[0].sign(message).signature) for message in messages]
    assert crypto.ed25519_batch_verify(messages, each, publics) == crypto.VALID
    assert crypto.ed25519_batch_verify([b"a"], same_message, publics) == crypto.VALID
    assert crypto.ed25519_batch_verify(messages, same_key, publics[:1]) == crypto.VALID
    assert crypto.ed25519_batch_verify([], [], []) == crypto.VALID
    assert crypto.ed25519_batch_verify(messages, each[::-1], publics) == crypto.INVALID
    assert crypto.ed25519_batch_verify(messages, each, publics[:2]) == crypto.BAD_BATCH
