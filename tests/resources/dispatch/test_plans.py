"""From a lease to its task: by the plan that the lease names, and only if plan and task are of that lease."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import PlannedTask, TaskPlan
from chain_bridge.client.messages import Lease
from resources.dispatch.leased_tasks import LeasedTask, PlanReader, leased_tasks
from resources.jobs.registry import RoundRef

CID = cid_of_bytes(b"any")
ROUND = RoundRef("atlas1c", 7, 2)


def task(slot: int, attempt: int = 1, number: int = 2) -> TaskSpec:
    return TaskSpec(
        kind="train", contract="atlas1c", job_id=7, job=CID, model=CID, round=number, slot=slot, data=CID, rows=1,
        base=CID, attempt=attempt,
    )  # fmt: skip


def lease(plan: str, slot: int = 0, attempt: int = 1) -> Lease:
    return Lease(
        job=7, round=2, slot=slot, node=1, attempt=attempt, until=100, plan=plan, state="active", live=True
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "content")


def put_plan(store, tasks) -> str:
    for one in tasks:
        put_document(store, one)
    return put_document(store, TaskPlan.over(tasks))


def test_each_lease_leads_to_its_task(store):
    tasks = [task(0), task(1, attempt=3)]
    plan = put_plan(store, tasks)
    reader = PlanReader(ROUND, store)
    assert reader.task(lease(plan)) == LeasedTask(tasks[0].cid, tasks[0])
    assert reader.task(lease(plan, 1, 3)) == LeasedTask(tasks[1].cid, tasks[1])
    assert leased_tasks(ROUND, [lease(plan), lease(plan, 1, 3)], store) == {0: tasks[0].cid, 1: tasks[1].cid}


def test_a_plan_is_read_once(store):
    plan = put_plan(store, [task(0), task(1)])
    reader = PlanReader(ROUND, store)
    assert reader.task(lease(plan)) is not None
    for path in store.root.rglob("*"):
        if path.is_file() and plan in str(path):
            path.unlink()
    assert reader.task_cid(lease(plan, 1)) == task(1).cid


def test_what_a_plan_does_not_name_is_no_task(store):
    plan = put_plan(store, [task(0)])
    for other in (lease(plan, attempt=2), lease(plan, slot=1)):
        assert PlanReader(ROUND, store).task(other) is None


def test_an_unreadable_foreign_or_lying_plan_gives_no_task(store):
    foreign = put_plan(store, [task(0, number=3)])
    not_a_plan = put_document(store, task(0))
    lying = TaskPlan(
        contract="atlas1c", job_id=7, round=2, tasks=[PlannedTask(slot=0, attempt=1, task=put_document(store, task(5)))]
    )
    dangling = TaskPlan(contract="atlas1c", job_id=7, round=2, tasks=[PlannedTask(slot=0, attempt=1, task=CID)])
    plans = [CID, "no cid at all", foreign, not_a_plan, put_document(store, lying), put_document(store, dangling)]
    assert [PlanReader(ROUND, store).task(lease(plan)) for plan in plans] == [None] * len(plans)
