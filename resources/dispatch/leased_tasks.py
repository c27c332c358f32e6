"""From leases to tasks: a lease names its batch's plan, and the plan names the task."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from atlas.content.store import ContentStore
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Lease
from resources.jobs.registry import RoundRef

Kind = TypeVar("Kind", TaskPlan, TaskSpec)


@dataclass(frozen=True)
class LeasedTask:
    """The task of a lease, with the CID of its TaskSpec."""

    cid: Cid
    task: TaskSpec


class PlanReader:
    """Reads each plan and each task of a round once; None for one that is unreadable or of another round."""

    def __init__(self, ref: RoundRef, store: ContentStore) -> None:
        self._ref = ref
        self._store = store
        self._plans: dict[Cid, dict[tuple[int, int], Cid]] = {}
        self._tasks: dict[Cid, TaskSpec | None] = {}

    def task_cid(self, lease: Lease) -> Cid | None:
        """CID of the TaskSpec of a lease; None if its plan is unreadable or does not list it."""
        if lease.plan not in self._plans:
            plan, ref = self._read(lease.plan, TaskPlan), self._ref
            self._plans[lease.plan] = plan.tasks_in(ref.contract, ref.job_id, ref.round) if plan else {}
        return self._plans[lease.plan].get((lease.slot, lease.attempt))

    def task(self, lease: Lease) -> LeasedTask | None:
        """The task of a lease; None also if the task is of another slot or attempt than the lease."""
        cid = self.task_cid(lease)
        if cid is None:
            return None
        if cid not in self._tasks:
            self._tasks[cid] = self._read(cid, TaskSpec)
        task = self._tasks[cid]
        if task is None or (task.slot, task.attempt) != (lease.slot, lease.attempt):
            return None
        return LeasedTask(cid, task)

    def _read(self, cid: Cid, kind: type[Kind]) -> Kind | None:
        try:
            return get_document(self._store, cid, kind)
        except (ContentError, SpecError):
            return None  # not written by this coordinator, or of another home: not a task of this run


def leased_tasks(ref: RoundRef, leases: Iterable[Lease], store: ContentStore) -> dict[int, Cid | None]:
    """CID of the TaskSpec of each slot's lease; None where its plan is unreadable or of another round."""
    plans = PlanReader(ref, store)
    return {lease.slot: plans.task_cid(lease) for lease in leases}
