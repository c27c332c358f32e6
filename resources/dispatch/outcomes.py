"""Updates and outcomes of tasks, as the dispatcher reports them."""

from dataclasses import dataclass
from typing import Any, Literal

from atlas.documents.manifests import Receipt, SignedReceipt
from atlas.ids import Cid, NodeId
from atlas.spec.job import TaskSpec
from node_agent.wire.messages import TaskReport

Event = Literal[
    "assigned", "adopted", "progress", "checkpoint", "message", "restarted", "moved", "lost", "refused", "waiting"
]
Final = Literal["repeats", "excluded", "ended"]
"""Why another run of the job would not help a shard.

repeats: every node fails alike with these settings and data · excluded: its update is completed on chain, but a gate
refused it in the round · ended: nothing more can be assigned in the round. Without any of these, another run may help.
"""
NOTABLE: frozenset[Event] = frozenset({"restarted", "moved", "lost", "refused", "waiting"})
"""Events that are shown to people when they happen."""


@dataclass(frozen=True)
class CompletedTask:
    """A task whose result is verified, has passed its gate and is completed on chain."""

    task: TaskSpec
    task_cid: Cid
    node_id: NodeId
    signed: SignedReceipt
    receipt_cid: Cid
    adopted: bool = False
    """Whether an earlier run completed the task."""

    @property
    def receipt(self) -> Receipt:
        """The node's receipt."""
        return self.signed.receipt

    @property
    def result(self) -> Cid:
        """The CID of the task's result: the adapter, or for an evaluation the receipt itself."""
        return self.receipt.adapter or self.receipt_cid


@dataclass(frozen=True)
class LostTask:
    """A task that got no result in this run; `task` is the task as it was passed to the dispatcher."""

    task: TaskSpec
    reason: str
    final: Final | None = None


TaskOutcome = CompletedTask | LostTask


@dataclass(frozen=True)
class TaskUpdate:
    """An update on a task: a log line (`text`), data for charts (`report`) or a message for Dagster's Pipes session.

    `step` is the step from which work resumes after an event that set it back.
    """

    task: TaskSpec
    event: Event
    text: str
    node_id: NodeId | None = None
    report: TaskReport | None = None
    message: dict[str, Any] | None = None
    step: int | None = None
