"""How tasks go and how they end, as the dispatcher tells it."""

from dataclasses import dataclass
from typing import Any, Literal

from atlas.documents.manifests import Receipt, SignedReceipt
from atlas.spec.job import TaskSpec
from node_agent.wire.messages import TaskReport

Event = Literal[
    "assigned", "adopted", "progress", "checkpoint", "message", "restarted", "moved", "lost", "refused", "waiting"
]
NOTABLE: frozenset[Event] = frozenset({"restarted", "moved", "lost", "refused", "waiting"})
"""What a person wants to know of when it happens."""


@dataclass(frozen=True)
class CompletedTask:
    """A task whose result is verified, has passed its gate and is completed on chain."""

    task: TaskSpec
    task_cid: str
    node_id: int
    signed: SignedReceipt
    receipt_cid: str
    adopted: bool = False
    """Whether it was done before the run that asked for it."""

    @property
    def receipt(self) -> Receipt:
        """The node's account."""
        return self.signed.receipt

    @property
    def result(self) -> str:
        """The CID that the task was for: the adapter, or for an evaluation the receipt itself."""
        return self.receipt.adapter or self.receipt_cid


@dataclass(frozen=True)
class LostTask:
    """A task that got no result in this run; `task` is as it was asked for."""

    task: TaskSpec
    reason: str


TaskOutcome = CompletedTask | LostTask


@dataclass(frozen=True)
class TaskUpdate:
    """News of a task: for a log line (`text`), a picture (`report`) or Dagster's Pipes session (`message`).

    `step` is where work goes on after an event that set it back.
    """

    task: TaskSpec
    event: Event
    text: str
    node_id: int | None = None
    report: TaskReport | None = None
    message: dict[str, Any] | None = None
    step: int | None = None
