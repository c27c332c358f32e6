"""What a run knows of one task, and the pure decision what to do about it next."""

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from atlas.aggregation.gates.refusal import Refusal
from atlas.counts import counted
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Lease
from node_agent.errors import FailureKind
from node_agent.tasks.standstill import Standstill
from node_agent.wire.messages import TaskReport
from resources.dispatch.leased_tasks import LeasedTask
from resources.dispatch.outcomes import CompletedTask

ALIKE = 2
"""So many failures of one kind that no machine mends: what two nodes report, a third will, too."""


@dataclass(frozen=True)
class Held:
    """One attempt and who holds it."""

    node_id: int
    address: str
    task: TaskSpec
    task_cid: str
    step: int | None = None
    """Of the training checkpoint that it goes on from, where this run handed it out."""

    def fits(self, sender: str, report: TaskReport) -> bool:
        """Whether a report speaks of this very attempt and comes from its node."""
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
    """The gate's, if that is why."""
    kind: FailureKind | None = None
    """What kind of failure that is, if it is one that another node would repeat."""
    judging: bool = False
    begun: int = 0
    """Attempts handed out or taken over in this run."""
    last_lost_attempt: int = 0
    """The newest attempt that is known to be lost."""
    excluded_nodes: set[int] = field(default_factory=set)
    """Nodes that let this task down."""
    waiting_since: float | None = None
    asked_at: float = float("-inf")
    seen: TaskReport | None = None
    signs: int = 0
    """Signs of progress that were taken in."""
    reports_stages: bool = False
    """Whether the node of the held attempt reports the stages before its first step."""
    standstill: Standstill = field(default_factory=lambda: Standstill(math.inf))
    reason: str = ""
    """Why the newest attempt came to nothing."""
    kinds: Counter[FailureKind] = field(default_factory=Counter)
    """Of the attempts of this run that came to nothing."""

    @property
    def slot(self) -> int:
        """The task's place in its round."""
        return self.draft.slot

    @property
    def underway(self) -> bool:
        """Whether its node is expected to say something new."""
        return self.held is not None and self.result is None and self.failed is None

    def begin(self, held: Held) -> None:
        """An attempt is in a node's hands."""
        self.held, self.result, self.seen = held, None, None
        self.failed, self.refusal, self.kind = None, None, None
        self.reports_stages, self.standstill = False, Standstill(self.patience, self.signs)
        self.begun += 1
        self.waiting_since = None
        self.asked_at = float("-inf")

    def mark_lost(self, lease: Lease, reason: str) -> None:
        """The lease's attempt came to nothing."""
        if self.kind is not None:
            self.kinds[self.kind] += 1
        self.held, self.result, self.failed, self.refusal, self.kind = None, None, None, None, None
        self.last_lost_attempt = lease.attempt
        self.excluded_nodes.add(lease.node)
        self.reason = reason

    def given_up(self, most: int) -> str | None:
        """Why no further attempt is handed out, of `most` in a run; None when one may be.

        A second attempt goes to another node, unless there is none: so two failures of one kind are the word of two
        nodes, or of the only one there is.
        """
        for kind, alike in self.kinds.items():
            if alike >= ALIKE:
                attempts = counted(self.begun, "attempt")
                return f"given up, since {alike} of {attempts} failed alike ({kind}): {self.reason}"
        return f"given up after {counted(self.begun, 'attempt')}: {self.reason}" if self.begun >= most else None

    def take_sign(self) -> None:
        """Its node has shown that the work advances."""
        self.signs += 1

    def stands_still(self, now: float) -> bool:
        """Take a look at the clock: whether a task that is under way has shown no progress for too long."""
        return self.underway and not self.judging and self.standstill.look(self.signs, now)


def patience_of(progress_seconds: float, poll_seconds: float, answer_seconds: float) -> float:
    """How long the coordinator waits for a sign of progress: longer than the node, which may mend it on the spot.

    A node notices within 1.1 times `progress_seconds` and reports at once that it has started the trainer again; its
    report is here after one or two questions.
    """
    return 1.5 * progress_seconds + 2 * poll_seconds + answer_seconds


def is_sign(report: TaskReport, before: TaskReport | None, reports_stages: bool) -> bool:
    """Whether a report shows that work advances, after the one before it on the same attempt.

    A task that waits for its turn on its node does not advance and is not stuck. A node that reports no stages may be
    fetching or loading until its first step. In both cases an answer is enough, and the lease is the limit.
    """
    if report.state == "pending" or (report.steps == 0 and not reports_stages):
        return True
    return before is None or _place(report) != _place(before)


def _place(report: TaskReport) -> tuple[object, ...]:
    return report.state, report.step, report.checkpoint


class Step(Enum):
    """What to do about a task."""

    ASSIGN = auto()
    """Hand out the next attempt."""
    TAKE_OVER = auto()
    """A lease for this very work is there that this run did not hand out: follow it."""
    FOLLOW = auto()
    """Ask its node how it goes."""
    RELEASE = auto()
    """End a live lease that leads nowhere, so that the next attempt can be handed out."""
    COMPLETE = auto()
    """Tell the chain that its result is in."""
    DELIVER = auto()
    """The chain knows of its result: done."""
    GIVE_UP = auto()
    """The chain has its slot as completed, and the result cannot be had."""


def next_step(work: Work, lease: Lease | None, leased: LeasedTask | None) -> Step:
    """Decide from the chain's lease of the task's slot, and the task that it stands for (None if unreadable)."""
    if lease is None:
        return Step.ASSIGN
    if work.result is not None and leased is not None and work.result.task_cid == leased.cid:
        if lease.state == "completed":
            return Step.DELIVER
        if lease.state == "active":  # past its deadline or not: it counts while nobody else holds the slot
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
