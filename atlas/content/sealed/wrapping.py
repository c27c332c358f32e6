"""The key of a sealed file, wrapped for one chain key: ephemeral ECDH on secp256k1, HKDF-SHA256 and AES-256-GCM.

The context (the task that the key is for, and both public keys) is associated data, so that only the recipient can
unwrap the key, and only for that task. The nonce is constant, because each wrapping uses a fresh key.
"""

from dataclasses import asdict, dataclass
from typing import Protocol

import coincurve
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atlas.errors import SealError, VerificationError
from atlas.ids import Cid, JobId
from atlas.signing import KeyHolder, KeySigner

_NONCE = bytes(12)


class LeasedData(Protocol):
    """The fields of a task that the key of its data depends on."""

    @property
    def contract(self) -> str:
        """Address of the contract."""

    @property
    def job_id(self) -> JobId:
        """The job's number in the contract."""

    @property
    def round(self) -> int:
        """From 1."""

    @property
    def slot(self) -> int:
        """Index of the shard in the round."""

    @property
    def attempt(self) -> int:
        """Number of the lease of this slot."""

    @property
    def data(self) -> Cid:
        """CID of the sealed file."""


@dataclass(frozen=True)
class KeyContext:
    """The scope of a released key: one attempt at one slot, and the sealed data of its task."""

    contract: str
    job_id: JobId
    round: int
    slot: int
    attempt: int
    data: Cid
    """CID of the sealed file."""

    @classmethod
    def of(cls, task: LeasedData) -> "KeyContext":
        """The context of the key of a task's data."""
        return cls(task.contract, task.job_id, task.round, task.slot, task.attempt, task.data)


@dataclass(frozen=True)
class WrappedKey:
    """A file key that only the holder of one chain key can unwrap."""

    ephemeral: bytes
    """Public key (33 bytes) of a single-use key."""
    box: bytes
    """The encrypted key and its tag."""


def wrap_key(key: bytes, recipient: bytes, context: KeyContext) -> WrappedKey:
    """Wrap `key` for the public key `recipient` (33 bytes, compressed); raises `VerificationError` if it is invalid."""
    ephemeral = KeySigner(coincurve.PrivateKey().secret, "ephemeral")
    cipher, bound = _cipher(ephemeral.agree(recipient), ephemeral.public_key, recipient, context)
    return WrappedKey(ephemeral.public_key, cipher.encrypt(_NONCE, key, bound))


def unwrap_key(wrapped: WrappedKey, holder: KeyHolder, context: KeyContext) -> bytes:
    """The unwrapped key; raises `SealError` when it was altered, or wrapped for another holder or another task."""
    try:
        secret = holder.agree(wrapped.ephemeral)
        cipher, bound = _cipher(secret, wrapped.ephemeral, holder.public_key, context)
        return cipher.decrypt(_NONCE, wrapped.box, bound)
    except (InvalidTag, VerificationError) as error:
        raise SealError(
            f"The key of {context.data} was altered, or wrapped for another address than {holder.address} or for "
            f"another task than slot {context.slot}, attempt {context.attempt} in round {context.round} of job "
            f"{context.job_id}."
        ) from error


def _cipher(secret: bytes, ephemeral: bytes, recipient: bytes, context: KeyContext) -> tuple[AESGCM, bytes]:
    """The cipher of one wrapping, and its associated data."""
    bound = rfc8785.dumps({**asdict(context), "ephemeral": ephemeral.hex(), "recipient": recipient.hex()})
    return AESGCM(HKDF(SHA256(), 32, None, b"atlas wrapped key v1" + bound).derive(secret)), bound
