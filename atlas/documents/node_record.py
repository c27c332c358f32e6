"""Node records: an agent's signed description of its node, for anyone who looks for nodes."""

from typing import Annotated, Literal

import rfc8785
from pydantic import Field

from atlas.documents.document import Document
from atlas.errors import SpecError, VerificationError
from atlas.ids import NodeId
from atlas.signing import Signer, verify_signature

RENEWAL_SECONDS = 900.0
LIFETIME_SECONDS = 3600
"""A node publishes a new record every `RENEWAL_SECONDS`; a record older than this lifetime is rejected."""
CLOCK_SKEW_SECONDS = 300
MOST_RECORD_BYTES = 65_536

Short = Annotated[str, Field(max_length=256)]
Count = Annotated[int, Field(ge=0, lt=2**53)]  # canonical JSON holds no larger integer


class NodeRecord(Document):
    """A node's addresses and resources. It is only a hint: the chain decides who may work and is paid."""

    kind: Literal["node-record"] = "node-record"
    chain_id: Short
    contract: Short
    node_id: NodeId = Field(gt=0, lt=2**53)
    address: Short = Field(description="the account that owns the node on chain, and signs")
    peer_id: Short = Field(description="of its IPFS node, under whose name the record is published")
    addresses: list[Short] = Field(max_length=64, description="multiaddresses of its IPFS node")
    version: Short
    cpu: Short
    cores: Count
    memory_bytes: Count
    gpus: list[Short] = Field(max_length=64)
    slots: Count = Field(description="tasks trained at a time")
    price: Count = Field(description="least reward per task that it works for, in micro-units")
    reputation: int = Field(gt=-(2**53), lt=2**53, description="on chain, at `height`")
    height: Count
    made_at: Count = Field(description="seconds since the epoch, by the node's clock")


class SignedNodeRecord(Document):
    """A node record with its node's signature over the record's canonical bytes."""

    record: NodeRecord
    public_key: str = Field(pattern=r"^[0-9a-f]{66}$", description="compressed secp256k1, hex")
    signature: str = Field(pattern=r"^[0-9a-f]{128}$", description="64-byte compact ECDSA over SHA-256, hex")


def rendezvous(chain_id: str, contract: str) -> bytes:
    """The well-known content of a network: a provider of its CID announces a node of this network."""
    return rfc8785.dumps({"kind": "rendezvous", "chain_id": chain_id, "contract": contract})


def sign_record(record: NodeRecord, signer: Signer) -> SignedNodeRecord:
    """Sign the record's canonical bytes with its node's key."""
    return SignedNodeRecord(
        record=record,
        public_key=signer.public_key.hex(),
        signature=signer.sign(record.canonical_bytes()).hex(),
    )


def verify(
    signed: SignedNodeRecord,
    *,
    chain_id: str,
    contract: str,
    peer_id: str,
    now: float,
    most_age_seconds: float = LIFETIME_SECONDS,
) -> NodeRecord:
    """The record, if its address signed it for this network and for the IPFS node `peer_id` that published it.

    `now` is in seconds since the epoch. Raises `VerificationError`, also for a record that is older than
    `most_age_seconds` or more than `CLOCK_SKEW_SECONDS` in the future.
    """
    record = signed.record
    expected = {"chain_id": chain_id, "contract": contract, "peer_id": peer_id}
    for field, value in expected.items():
        if getattr(record, field) != value:
            raise VerificationError(
                f"The record of node {record.node_id} has {field} {getattr(record, field)!r}, expected {value!r}."
            )
    age = now - record.made_at
    if not -CLOCK_SKEW_SECONDS <= age <= most_age_seconds:
        raise VerificationError(
            f"The record of node {record.node_id} is {age:.0f} s old, expected at most {most_age_seconds:.0f}, and no "
            f"more than {CLOCK_SKEW_SECONDS} s of difference between clocks."
        )
    verify_signature(
        record.canonical_bytes(), bytes.fromhex(signed.signature), bytes.fromhex(signed.public_key), record.address
    )
    return record


def parse_record(data: bytes) -> SignedNodeRecord:
    """Parse an untrusted signed record; raises `VerificationError` if it is too large or malformed."""
    if len(data) > MOST_RECORD_BYTES:
        raise VerificationError(f"A node record takes at most {MOST_RECORD_BYTES} bytes, found {len(data)}.")
    try:
        return SignedNodeRecord.from_bytes(data)
    except SpecError as error:
        raise VerificationError(str(error)) from error
