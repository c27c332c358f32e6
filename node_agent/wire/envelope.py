"""Signed envelopes: sender, subject, time and nonce of a message, each accepted once. Pure; the bus sends them."""

import json
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.clocks import MOST_SECONDS, describe_difference
from atlas.documents.document import describe_validation
from atlas.errors import VerificationError
from atlas.signing import Signer, verify_signature
from node_agent.errors import BusError, RefusedMessage

MAX_AGE_SECONDS = MOST_SECONDS
MAX_REMEMBERED = 200_000


class Envelope(BaseModel):
    """One message with its sender's signature over the canonical JSON (RFC 8785) of every other field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    subject: str
    sender: str
    public_key: str = Field(pattern=r"^[0-9a-f]{66}$")
    time: float = Field(description="seconds since the epoch, by the sender's clock")
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    in_reply_to: str | None = Field(default=None, description="the nonce of the request that this answers")
    body: dict[str, Any]
    signature: str = Field(default="", pattern=r"^([0-9a-f]{128})?$")

    def signed_bytes(self) -> bytes:
        """The bytes that the signature covers."""
        return rfc8785.dumps({**self.model_dump(exclude={"signature", "body"}), "body": self.body})

    def to_bytes(self) -> bytes:
        """The bytes that are sent."""
        return rfc8785.dumps({**self.model_dump(exclude={"body"}), "body": self.body})


def seal(
    signer: Signer, subject: str, body: dict[str, Any], time: float, nonce: str, in_reply_to: str | None = None
) -> Envelope:
    """Sign a body for one subject; raises `BusError` when the body has no canonical JSON."""
    draft = Envelope(
        subject=subject,
        sender=signer.address,
        public_key=signer.public_key.hex(),
        time=time,
        nonce=nonce,
        in_reply_to=in_reply_to,
        body=body,
    )
    try:
        message = draft.signed_bytes()
        # A float beyond 2**53 is written like an integer, which the reader could not serialize again.
        rfc8785.dumps(json.loads(message))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise BusError(f"A message for {subject} must hold plain JSON values only: {error}.") from error
    return draft.model_copy(update={"signature": signer.sign(message).hex()})


def open_envelope(data: bytes, subject: str) -> Envelope:
    """Parse a message received on `subject` and check its signature, not its age; raises `RefusedMessage`."""
    try:
        envelope = Envelope.model_validate_json(data)
    except ValidationError as error:
        raise RefusedMessage(f"A message on {subject} is not a valid envelope: {describe_validation(error)}") from error
    if envelope.subject != subject:
        raise RefusedMessage(f"A message of {envelope.sender} for {envelope.subject} was sent on {subject}.")
    if not envelope.signature:
        raise RefusedMessage(f"A message on {subject} has no signature.")
    try:
        verify_signature(
            envelope.signed_bytes(),
            bytes.fromhex(envelope.signature),
            bytes.fromhex(envelope.public_key),
            envelope.sender,
        )
    except (VerificationError, rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise RefusedMessage(f"A message on {subject} has an invalid signature: {error}") from error
    return envelope


class ReplayGuard:
    """Records each nonce as long as its message could be accepted as fresh.

    A new guard has no nonces, so it refuses messages, other than answers, that were signed before it existed.
    """

    def __init__(self, started_at: float, max_age: float = MAX_AGE_SECONDS) -> None:
        self._started_at = started_at
        self._max_age = max_age
        self._seen: dict[tuple[str, str], float] = {}

    def admit(self, envelope: Envelope, now: float) -> None:
        """Raise `RefusedMessage` when the envelope is stale, from the future, or was admitted before."""
        age = now - envelope.time
        if abs(age) > self._max_age:
            text = describe_difference(now, envelope.time, f"a message of {envelope.sender} on {envelope.subject}")
            raise RefusedMessage(text)
        if envelope.time < self._started_at and envelope.in_reply_to is None:
            raise RefusedMessage(
                f"A message of {envelope.sender} on {envelope.subject} was sent before this process subscribed."
            )
        self._forget(now)
        key = (envelope.sender, envelope.nonce)
        if key in self._seen:
            raise RefusedMessage(f"A message of {envelope.sender} on {envelope.subject} was replayed.")
        if len(self._seen) >= MAX_REMEMBERED:
            raise RefusedMessage(
                f"More than {MAX_REMEMBERED} messages a minute arrived; a message on {envelope.subject} is refused."
            )
        self._seen[key] = now + 2 * self._max_age

    def _forget(self, now: float) -> None:
        """Entries expire in the order in which they came, as long as the clock does not run back."""
        while self._seen:
            key = next(iter(self._seen))
            if self._seen[key] > now:
                return
            del self._seen[key]
