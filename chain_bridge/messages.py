"""What the contract takes and answers, in Python's types: amounts are ints, roots are bytes."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

Amount = Annotated[int, Field(ge=0, description="in micro-units of the network's denomination")]
NodeKind = Literal["compute", "storage"]


@dataclass(frozen=True)
class Assignment:
    """A slot to lease to a node; `task` is the CID of the TaskSpec."""

    slot: int
    node: int
    attempt: int
    task: str


@dataclass(frozen=True)
class SlotAttempt:
    """One attempt at a slot."""

    slot: int
    attempt: int


@dataclass(frozen=True)
class NodeCount:
    """How many tasks of a round a node completed."""

    node: int
    count: int


class Answer(BaseModel):
    """An answer of the contract; fields that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContractConfig(Answer):
    """The contract's settings."""

    denom: str
    min_stake: Amount
    heartbeat_seconds: int
    challenge_seconds: int
    max_batch: int


class Node(Answer):
    """A registered machine."""

    id: int
    owner: str
    kind: NodeKind
    capacity: int
    used: int
    stake: Amount
    reputation: int
    last_seen: int = Field(description="unix seconds of its last heartbeat")
    status: Literal["active", "jailed", "retired"]
    manifest: str


class Job(Answer):
    """A fine-tuning order and its money."""

    id: int
    owner: str
    key: str
    spec: str
    dataset: str
    shards: int
    rounds: int
    reward: Amount
    deposited: Amount
    reserved: Amount
    paid: Amount
    refunded: Amount
    lease_seconds: int
    state: Literal["open", "closed"]

    @property
    def free(self) -> int:
        """What of the escrow is neither reserved, paid nor refunded."""
        return self.deposited - self.reserved - self.paid - self.refunded


class Lease(Answer):
    """Who holds a slot of a round. `live`: active, not past `until`, and its node is heard of."""

    job: int
    round: int
    slot: int
    node: int
    attempt: int
    until: int = Field(description="unix seconds")
    task: str
    state: Literal["active", "completed", "released", "expired"]
    live: bool


class RoundShare(Answer):
    """One node's tasks in a round."""

    node: int
    count: int


class Round(Answer):
    """The submitted outcome of a round."""

    job: int
    round: int
    root: Base64Bytes = Field(description="32 bytes: the Merkle root over the round's task records")
    leaf_count: int
    checkpoint: str
    evidence: str
    per_node: list[RoundShare]
    submitted_at: int = Field(description="unix seconds")
    settled_at: int | None


class Totals(Answer):
    """All money in the contract: its bank balance is escrow + stake + credit + treasury."""

    escrow: Amount
    stake: Amount
    credit: Amount
    treasury: Amount
    withdrawn: Amount

    @property
    def held(self) -> int:
        """What the contract's bank balance must be."""
        return self.escrow + self.stake + self.credit + self.treasury


class RegisteredModel(Answer):
    """A named result of a job."""

    name: str
    version: int
    cid: str
    job: int
    parent: str | None


class Ownership(Answer):
    """Who administers the contract."""

    owner: str | None
    pending_owner: str | None
    pending_expiry: Any = None


@dataclass(frozen=True)
class Tx:
    """A transaction that the chain accepted; `attributes` has one mapping per `wasm` event, in order."""

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
