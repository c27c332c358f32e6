"""Signatures by chain keys: secp256k1 ECDSA over SHA-256, and the address that belongs to a public key."""

import hashlib
from typing import Protocol

import bech32
import coincurve
from coincurve.ecdsa import cdata_to_der, der_to_cdata, deserialize_compact, serialize_compact

from atlas.errors import VerificationError


class Signer(Protocol):
    """A holder of a private key."""

    @property
    def address(self) -> str:
        """The bech32 account address."""

    @property
    def public_key(self) -> bytes:
        """33 bytes, compressed."""

    def sign(self, message: bytes) -> bytes:
        """A 64-byte compact signature over SHA-256 of the message."""


class KeyHolder(Signer, Protocol):
    """A signer that can also derive a shared secret with another key."""

    def agree(self, public_key: bytes) -> bytes:
        """32 bytes that only the two keys' holders know (ECDH); raises `VerificationError` for a malformed key."""


class KeySigner:
    """A signer that holds a 32-byte secret in memory."""

    def __init__(self, secret: bytes, prefix: str) -> None:
        self._key = coincurve.PrivateKey(secret)
        self.public_key = self._key.public_key.format(compressed=True)
        self.address = address_of(self.public_key, prefix)

    def sign(self, message: bytes) -> bytes:
        """A 64-byte compact signature over SHA-256 of the message (RFC 6979 nonce, so deterministic)."""
        return bytes(serialize_compact(der_to_cdata(self._key.sign(message))))

    def agree(self, public_key: bytes) -> bytes:
        """SHA-256 of the compressed shared point of both keys; raises `VerificationError` for a malformed key."""
        try:
            return bytes(self._key.ecdh(public_key))
        except ValueError as error:
            raise VerificationError(f"{public_key.hex()!r:.80} is no public key: {error}.") from error


def address_of(public_key: bytes, prefix: str) -> str:
    """The Cosmos account address: bech32 of RIPEMD-160(SHA-256(compressed public key))."""
    from Crypto.Hash import RIPEMD160  # it parses C declarations, which takes longer than all other imports here

    digest = RIPEMD160.new(hashlib.sha256(public_key).digest()).digest()
    words = bech32.convertbits(digest, 8, 5)
    if words is None:
        raise VerificationError("The public key has no address: its hash cannot be written in bech32.")
    return str(bech32.bech32_encode(prefix, words))


def verify_signature(message: bytes, signature: bytes, public_key: bytes, address: str) -> None:
    """Raise `VerificationError` unless `address` belongs to `public_key` and signed `message`."""
    if len(public_key) != 33 or len(signature) != 64:
        raise VerificationError(
            f"A signature by {address} must come with a 33-byte key and 64 bytes, "
            f"found {len(public_key)} and {len(signature)}."
        )
    owner = address_of(public_key, address.rpartition("1")[0])
    if owner != address:
        raise VerificationError(f"The public key belongs to {owner}, not to {address}.")
    try:
        valid = coincurve.PublicKey(public_key).verify(cdata_to_der(deserialize_compact(signature)), message)
    except ValueError as error:
        raise VerificationError(f"The key or signature by {address} is malformed: {error}.") from error
    if not valid:
        raise VerificationError(f"The signature by {address} does not fit the message; it was altered or forged.")
