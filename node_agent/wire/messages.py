"""The bodies of the messages on the bus: frozen models that are validated on arrival."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from atlas.documents.document import JobNumber, NodeNumber, Positive
from atlas.documents.manifests import CidField, SavedCheckpoint
from atlas.ids import JobId, TaskId
from node_agent.errors import FailureKind

TaskState = Literal["pending", "in_progress", "completed", "failed", "paused"]
ENDED: frozenset[TaskState] = frozenset({"completed", "failed", "paused"})
TaskIdField = Annotated[
    TaskId, Field(pattern=r"^[0-9a-f]{16}$", description="`TaskSpec.task_id`, equal for every attempt")
]
PIPES_VARIABLES = frozenset({"DAGSTER_PIPES_CONTEXT", "DAGSTER_PIPES_MESSAGES"})


class Body(BaseModel):
    """What all bodies share: immutable, no unknown fields, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_body(self) -> dict[str, Any]:
        """The JSON mapping that `Bus.publish` and `Bus.request` take."""
        return self.model_dump(mode="json")


class LeaseRef(NamedTuple):
    """One attempt at one slot; a lease assigns it to a node."""

    job: JobId
    round: int
    slot: int
    attempt: int


class AssignHint(Body):
    """A coordinator's hint that a task was assigned; the node checks it against the chain."""

    task: CidField = Field(description="CID of the TaskSpec")
    task_id: TaskIdField
    job_id: JobNumber
    round: Positive
    slot: int = Field(ge=0)
    attempt: Positive
    pipes: dict[str, str] = Field(default_factory=dict, description="the DAGSTER_PIPES_* variables; may be empty")

    @property
    def place(self) -> LeaseRef:
        """The attempt of the hint."""
        return LeaseRef(self.job_id, self.round, self.slot, self.attempt)

    @field_validator("pipes")
    @classmethod
    def _pipes_variables_only(cls, value: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(value) - PIPES_VARIABLES):
            raise ValueError(f"only {' and '.join(sorted(PIPES_VARIABLES))} may be set, found {', '.join(unknown)}")
        return value


class TaskReport(Body):
    """The state of a task on its node."""

    task_id: TaskIdField
    task: CidField
    attempt: Positive
    state: TaskState
    step: int = Field(default=0, ge=0)
    steps: int = Field(default=0, ge=0, description="steps in all; 0 while unknown")
    loss: float | None = None
    checkpoint: SavedCheckpoint | None = Field(default=None, description="the newest training checkpoint uploaded")
    adapter: CidField | None = None
    receipt: CidField | None = Field(default=None, description="CID of the SignedReceipt")
    error: str | None = None
    failure: FailureKind | None = Field(default=None, description="what kind of failure `error` is, if a known one")

    def to_body(self) -> dict[str, Any]:
        """As in `Body`; `failure` is left out where there is none, because older coordinators do not accept it."""
        body = super().to_body()
        return {name: value for name, value in body.items() if name != "failure" or value is not None}


class KeyRequest(Body):
    """A node's request for the key of its task's sealed data; the coordinator checks it against the chain."""

    task: CidField = Field(description="CID of the TaskSpec")
    task_id: TaskIdField
    round: Positive
    slot: int = Field(ge=0)
    attempt: Positive
    public_key: str = Field(pattern=r"^[0-9a-f]{66}$", description="the sender's, for which the key is to be wrapped")


class KeyAnswer(Body):
    """A key that only the requesting node can unwrap (`atlas.content.sealed.wrapping`), or why it gets none."""

    ephemeral: str | None = Field(default=None, pattern=r"^[0-9a-f]{66}$")
    box: str | None = Field(default=None, pattern=r"^[0-9a-f]{96}$", description="32 bytes of key and 16 of tag")
    refused: str | None = None
    later: bool = Field(default=False, description="whether asking again may help")

    @model_validator(mode="after")
    def _key_or_reason(self) -> Self:
        if (self.ephemeral is None) != (self.box is None) or (self.box is None) != (self.refused is not None):
            raise ValueError("expected ephemeral and box, or refused")
        return self


class PipesLine(Body):
    """One Dagster Pipes message, as the trainer printed it."""

    pipes: dict[str, Any]


class RoundCheckpoint(Body):
    """The checkpoint that a round ends with. A receiver checks that the sender owns the job on chain."""

    job_id: JobNumber
    round: Positive
    base: CidField = Field(description="CID of the Checkpoint that the round started from")
    checkpoint: CidField = Field(description="CID of the Checkpoint that it ended with; `atlas verify` recomputes it")


class CoordinatorPresence(Body):
    """A coordinator at work on a round. A receiver checks that the sender owns the job on chain."""

    job_id: JobNumber
    round: Positive
    open_tasks: int = Field(ge=0, description="tasks that it has dispatched or will dispatch, and that have not ended")
    version: str


class Gpu(Body):
    """One graphics processor."""

    name: str
    memory_bytes: int = Field(ge=0)


class HardwareSummary(Body):
    """A summary of a node's hardware."""

    cpu: str
    cores: Positive
    memory_bytes: Positive
    gpus: list[Gpu] = Field(default_factory=list)


class Heartbeat(Body):
    """A node's heartbeat for people and schedulers. Leases depend on the heartbeat on chain only."""

    node_id: NodeNumber
    address: str
    slots: Positive
    running: list[str] = Field(description="ids of the tasks in progress")
    version: str
    hardware: HardwareSummary
