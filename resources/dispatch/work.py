"""The state of one task in a run, and the pure decision on its next step."""

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from atlas.aggregation.gates.refusal import Refusal
from atlas.counts import counted
from atlas.ids import Cid, NodeId
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Lease
from node_agent.errors import FailureKind
from node_agent.tasks.standstill import Standstill
from node_agent.wire.messages import TaskReport
from resources.dispatch.leased_tasks import LeasedTask
from resources.dispatch.outcomes import CompletedTask

ALIKE = 2
"""Failures of one kind after which a task is given up, if that kind does not depend on the machine."""


@dataclass(frozen=True)
class Held:
    """One attempt and the node that holds it."""

    node_id: NodeId
    address: str
    task: TaskSpec
    task_cid: Cid
    step: int | None = None
    """The step of the training checkpoint that the attempt resumes from; set if this run assigned it."""

    def fits(self, sender: str, report: TaskReport) -> bool:
        """Whether a report is about exactly this attempt and comes from its node."""
        return (sender, report.task, report.attempt) == (self.address, self.task_cid, self.task.attempt)


@dataclass
class Work:
    """One task of a run."""

    draft: TaskSpec
    patience: float = math.inf
    """Seconds without a sign of progress after which the held attempt is given up."""
    held: Held | None = None
    result: CompletedTask | None = None
    failed: str | None = None
    """Why the held attempt gives no result, though its lease may still be live."""
    refusal: Refusal | None = None
    """The gate's refusal, if that is the reason."""
    kind: FailureKind | None = None
    """The kind of that failure, if another node would repeat it."""
    judging: bool = False
    begun: int = 0
    """Attempts handed out or taken over in this run."""
    last_lost_attempt: int = 0
    """The newest attempt that is marked as lost."""
    excluded_nodes: set[NodeId] = field(default_factory=set)
    """Nodes that lost an attempt at this task."""
    waiting_since: float | None = None
    asked_at: float = float("-inf")
    seen: TaskReport | None = None
    signs: int = 0
    """Signs of progress that were received."""
    reports_stages: bool = False
    """Whether the node of the held attempt reports the stages before its first step."""
    standstill: Standstill = field(default_factory=lambda: Standstill(math.inf))
    reason: str = ""
    """Why the newest attempt was lost."""
    kinds: Counter[FailureKind] = field(default_factory=Counter)
    """The kinds of failures of this run's lost attempts."""

    @property
    def slot(self) -> int:
        """The task's place in its round."""
        return self.draft.slot

    @property
    def underway(self) -> bool:
        """Whether a result of the held attempt is still expected."""
        return self.held is not None and self.result is None and self.failed is None

    def begin(self, held: Held) -> None:
        """Note that a node holds a new attempt."""
        self.held, self.result, self.seen = held, None, None
        self.failed, self.refusal, self.kind = None, None, None
        self.reports_stages, self.standstill = False, Standstill(self.patience, self.signs)
        self.begun += 1
        self.waiting_since = None
        self.asked_at = float("-inf")

    def mark_lost(self, lease: Lease, reason: str) -> None:
        """Mark the lease's attempt as lost."""
        if self.kind is not None:
            self.kinds[self.kind] += 1
        self.held, self.result, self.failed, self.refusal, self.kind = None, None, None, None, None
        self.last_lost_attempt = lease.attempt
        self.excluded_nodes.add(lease.node)
        self.reason = reason

    @property
    def failed_alike(self) -> FailureKind | None:
        """The kind of failure that every node would repeat, as far as this run knows."""
        return next((kind for kind, count in self.kinds.items() if count >= ALIKE), None)

    def given_up(self, most: int) -> str | None:
        """Why no further attempt is assigned, of `most` in a run; None if one may be.

        A second attempt goes to another node if there is one, so two failures of one kind come from two nodes, or from
        the only node.
        """
        if (kind := self.failed_alike) is not None:
            attempts = counted(self.begun, "attempt")
            alike = self.kinds[kind]
            return f"given up, because {alike} of {attempts} failed in the same way ({kind}): {self.reason}"
        return f"given up after {counted(self.begun, 'attempt')}: {self.reason}" if self.begun >= most else None

    def take_sign(self) -> None:
        """Count a sign of progress."""
        self.signs += 1

    def stands_still(self, now: float) -> bool:
        """Whether a task that is under way has made no progress for too long; call it regularly."""
        return self.underway and not self.judging and self.standstill.look(self.signs, now)


def patience_of(progress_seconds: float, poll_seconds: float, answer_seconds: float) -> float:
    """Seconds that the coordinator waits for a sign of progress: longer than the node, which may restart its trainer.

    A node notices within 1.1 times `progress_seconds` and reports at once that it has restarted the trainer. The
    coordinator has that report after one or two polls.
    """
    return 1.5 * progress_seconds + 2 * poll_seconds + answer_seconds


def is_sign(report: TaskReport, before: TaskReport | None, reports_stages: bool) -> bool:
    """Whether a report shows progress, compared with the previous report on the same attempt.

    A task that is queued on its node makes no progress and is not stuck. A node that reports no stages may be fetching
    or loading until its first step. In both cases any answer suffices, and the lease is the limit.
    """
    if report.state == "pending" or (report.steps == 0 and not reports_stages):
        return True
    return before is None or _place(report) != _place(before)


def _place(report: TaskReport) -> tuple[object, ...]:
    return report.state, report.step, report.checkpoint


class Step(Enum):
    """The next step for a task."""

    ASSIGN = auto()
    """Assign the next attempt."""
    TAKE_OVER = auto()
    """Follow a lease for this task that this run did not assign."""
    FOLLOW = auto()
    """Poll its node for progress."""
    RELEASE = auto()
    """Release a live lease that can give no result, so that the next attempt can be assigned."""
    COMPLETE = auto()
    """Record on chain that the task is completed."""
    DELIVER = auto()
    """Yield the result: the task is completed on chain."""
    GIVE_UP = auto()
    """Yield a lost task: its slot is completed on chain, but the result is not available."""


def next_step(work: Work, lease: Lease | None, leased: LeasedTask | None) -> Step:
    """Decide from the slot's lease on chain and the task of that lease (None if unreadable)."""
    if lease is None:
        return Step.ASSIGN
    if work.result is not None and leased is not None and work.result.task_cid == leased.cid:
        if lease.state == "completed":
            return Step.DELIVER
        if lease.state == "active":  # even past its deadline, a lease counts until the slot is assigned again
            return Step.COMPLETE
    same_work = leased is not None and leased.task.task_id == work.draft.task_id
    held = work.held is not None and leased is not None and work.held.task_cid == leased.cid
    if lease.state == "completed":
        if not same_work or (held and work.failed):
            return Step.GIVE_UP
        return Step.FOLLOW if held else Step.TAKE_OVER
    if not lease.live:
        return Step.ASSIGN
    if not same_work or (held and work.failed):
        return Step.RELEASE
    return Step.FOLLOW if held else Step.TAKE_OVER
