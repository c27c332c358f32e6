"""What a run knows of one task, and the pure decision what to do about it next."""

from dataclasses import dataclass, field
from enum import Enum, auto

from atlas.spec import TaskSpec
from chain_bridge.messages import Lease
from node_agent.messages import TaskReport
from resources.outcomes import CompletedTask
from resources.plans import LeasedTask


@dataclass(frozen=True)
class Held:
    """One attempt and who holds it."""

    node_id: int
    address: str
    task: TaskSpec
    task_cid: str

    def fits(self, sender: str, report: TaskReport) -> bool:
        """Whether a report speaks of this very attempt and comes from its node."""
        return (sender, report.task, report.attempt) == (self.address, self.task_cid, self.task.attempt)


@dataclass
class Work:
    """One task of a run."""

    draft: TaskSpec
    held: Held | None = None
    result: CompletedTask | None = None
    failed: str | None = None
    """Why the held attempt gives no result, though its lease may still be live."""
    judging: bool = False
    begun: int = 0
    """Attempts handed out or taken over in this run."""
    mourned: int = 0
    """The newest attempt that is known to be lost."""
    shunned: set[int] = field(default_factory=set)
    """Nodes that let this task down."""
    waiting_since: float | None = None
    asked_at: float = float("-inf")
    seen: TaskReport | None = None
    reason: str = ""
    """Why the newest attempt came to nothing."""

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
        self.held, self.result, self.failed, self.seen = held, None, None, None
        self.begun += 1
        self.waiting_since = None
        self.asked_at = float("-inf")

    def mourn(self, lease: Lease, reason: str) -> None:
        """The lease's attempt came to nothing."""
        self.held, self.result, self.failed = None, None, None
        self.mourned = lease.attempt
        self.shunned.add(lease.node)
        self.reason = reason


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
