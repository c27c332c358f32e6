"""The contract's messages and answers as Python types: amounts are ints, binary values are bytes."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from atlas.ids import Cid, JobId, NodeId

Amount = Annotated[int, Field(ge=0, description="in micro-units of the network's denomination")]
NodeKind = Literal["compute", "storage"]


@dataclass(frozen=True)
class Assignment:
    """A slot to lease to a node."""

    slot: int
    node: NodeId
    attempt: int


@dataclass(frozen=True)
class SlotAttempt:
    """One attempt at a slot."""

    slot: int
    attempt: int


@dataclass(frozen=True)
class Share:
    """A node's tasks in a round, and its part of the round's pool in basis points."""

    node: NodeId
    count: int
    bps: int


class Answer(BaseModel):
    """An answer of the contract; unknown fields, which a later version may add, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContractConfig(Answer):
    """The contract's settings."""

    denom: str
    min_stake: Amount
    heartbeat_seconds: int
    challenge_seconds: int
    challenge_bond: Amount
    dispute_seconds: int
    unbonding_seconds: int
    jail_seconds: int
    abandon_seconds: int
    audit_seconds: int
    slash_bps: int
    max_batch: int


class Unbonding(Answer):
    """Stake that unbonds: locked until `release_at`."""

    amount: Amount
    release_at: int = Field(description="unix seconds")


class Node(Answer):
    """A registered machine."""

    id: NodeId
    owner: str
    kind: NodeKind
    capacity: int
    used: int
    stake: Amount
    unbonding: list[Unbonding]
    reputation: int
    last_seen: int = Field(description="unix seconds of its last heartbeat")
    status: Literal["active", "jailed", "retired"]
    jailed_until: int = Field(description="unix seconds; 0 when it never was in jail")
    manifest: Cid
    public_key: Base64Bytes | None


class Job(Answer):
    """A fine-tuning order and its money."""

    id: JobId
    owner: str
    key: str
    spec: Cid
    dataset: Cid
    shards: int
    rounds: int
    reward: Amount
    deposited: Amount
    reserved: Amount
    paid: Amount
    refunded: Amount
    lease_seconds: int
    state: Literal["open", "cancelled", "closed"]

    @property
    def free(self) -> int:
        """The part of the escrow that is neither reserved, paid nor refunded."""
        return self.deposited - self.reserved - self.paid - self.refunded


class Lease(Answer):
    """The lease of a slot of a round. `live`: active, not past `until`, and its node's heartbeat is recent."""

    job: JobId
    round: int
    slot: int
    node: NodeId
    attempt: int
    until: int = Field(description="unix seconds")
    plan: Cid = Field(description="CID of the list that names the slot's task")
    state: Literal["active", "completed", "released", "expired"]
    live: bool


class Round(Answer):
    """The submitted outcome of a round."""

    job: JobId
    round: int
    root: Base64Bytes = Field(description="32 bytes: the Merkle root over the round's task records")
    leaf_count: int
    checkpoint: Cid
    evidence: Cid
    per_node: list[Share]
    submitted_at: int = Field(description="unix seconds")
    settle_from: int = Field(description="unix seconds: the end of the challenge window")
    settled_at: int | None
    open_challenges: int
    struck: list[tuple[NodeId, int]] = Field(
        description="tasks that upheld challenges removed from the pay, as (node, count)"
    )


class Challenge(Answer):
    """A challenge of one result of a round."""

    job: JobId
    round: int
    index: int
    slot: int
    node: NodeId
    challenger: str
    bond: Amount
    evidence: str
    until: int = Field(description="unix seconds; afterwards anyone may dismiss it")
    state: Literal["open", "upheld", "rejected", "dismissed"]


class Audit(Answer):
    """An open audit, which the storage node must answer before `until`."""

    nonce: Base64Bytes
    answer_hash: Base64Bytes
    until: int = Field(description="unix seconds")


class Holding(Answer):
    """A CID that a storage node has announced."""

    cid: Cid
    node: NodeId
    since: int = Field(description="unix seconds")
    proven_at: int | None = Field(description="unix seconds of the last audit that it passed")
    audit: Audit | None


class Totals(Answer):
    """All money in the contract: its bank balance is escrow + stake + credit + treasury."""

    escrow: Amount
    stake: Amount
    credit: Amount
    treasury: Amount
    withdrawn: Amount

    @property
    def held(self) -> int:
        """The sum that the contract's bank balance must equal."""
        return self.escrow + self.stake + self.credit + self.treasury


class RegisteredModel(Answer):
    """A named result of a job."""

    name: str
    version: int
    cid: Cid
    job: JobId
    parent: Cid | None
    metrics: str | None
    status: Literal["registered", "promoted", "deprecated"]


class Ownership(Answer):
    """The owner of the contract, who administers it, and the pending owner during a transfer."""

    owner: str | None
    pending_owner: str | None
    pending_expiry: Any = None


@dataclass(frozen=True)
class Tx:
    """A message's transaction, which the chain accepted; `attributes` has one mapping per `wasm` event, in order."""

    hash: str
    height: int
    gas_used: int
    attributes: list[dict[str, str]]

    def attribute(self, name: str) -> str:
        """The first value under this name; raises `KeyError` when no event has it."""
        for event in self.attributes:
            if name in event:
                return event[name]
        raise KeyError(name)
