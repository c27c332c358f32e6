"""The signature checks that contracts call, with the result codes of cosmwasm `packages/crypto/src/errors.rs`."""

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

VALID, INVALID = 0, 1
BAD_HASH, BAD_SIGNATURE, BAD_PUBLIC_KEY, BAD_RECOVERY, BAD_BATCH, FAILED = 3, 4, 5, 6, 7, 10
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def secp256k1_verify(digest: bytes, signature: bytes, public_key: bytes) -> int:
    """Check a 64-byte compact signature of a 32-byte digest; signatures with a high S are valid, as in cosmwasm."""
    if len(digest) != 32:
        return BAD_HASH
    if len(signature) != 64:
        return BAD_SIGNATURE
    s = int.from_bytes(signature[32:], "big")
    if s > _CURVE_ORDER // 2:
        signature = signature[:32] + (_CURVE_ORDER - s).to_bytes(32, "big") if s < _CURVE_ORDER else signature
    try:
        key = coincurve.PublicKey(public_key)
    except ValueError:
        return BAD_PUBLIC_KEY
    try:
        valid = key.verify(cdata_to_der(deserialize_compact(signature)), digest, hasher=None)
    except ValueError:
        return FAILED
    return VALID if valid else INVALID


def secp256k1_recover(digest: bytes, signature: bytes, recovery: int) -> bytes | int:
    """The 65-byte public key that signed a digest, or a result code."""
    if len(digest) != 32:
        return BAD_HASH
    if len(signature) != 64:
        return BAD_SIGNATURE
    if recovery not in (0, 1):
        return BAD_RECOVERY
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature + bytes([recovery]), digest, hasher=None)
    except Exception:  # coincurve raises a bare `Exception` when no key matches
        return FAILED
    return key.format(compressed=False)


def ed25519_verify(message: bytes, signature: bytes, public_key: bytes) -> int:
    """Check an Ed25519 signature."""
    if len(signature) != 64:
        return BAD_SIGNATURE
    if len(public_key) != 32:
        return BAD_PUBLIC_KEY
    try:
        VerifyKey(public_key).verify(message, signature)
    except BadSignatureError:
        return INVALID
    return VALID


def ed25519_batch_verify(messages: list[bytes], signatures: list[bytes], keys: list[bytes]) -> int:
    """Check several signatures, with one message and key per signature, or one message or one key for all."""
    count = len(signatures)
    if len(messages) == 1 and len(keys) == count:
        messages = messages * count
    elif len(keys) == 1 and len(messages) == count:
        keys = keys * count
    if not len(messages) == count == len(keys):
        return BAD_BATCH
    codes = [ed25519_verify(*parts) for parts in zip(messages, signatures, keys, strict=True)]
    return next((code for code in codes if code != VALID), VALID)
