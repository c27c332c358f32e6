"""A plan names the tasks of a batch of leases, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.errors import SpecError
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import PlannedTask, TaskPlan

CID = cid_of_bytes(b"any")
PLACE = ("atlas1c", 7, 2)


def task(slot: int, attempt: int = 1, number: int = 2) -> TaskSpec:
    return TaskSpec(
        kind="train", contract="atlas1c", job_id=7, job=CID, model=CID, round=number, slot=slot, data=CID, rows=1,
        base=CID, attempt=attempt,
    )  # fmt: skip


batches = st.dictionaries(st.integers(0, 10_000), st.integers(1, 9), min_size=1, max_size=20).map(
    lambda attempts: [task(slot, attempt) for slot, attempt in attempts.items()]
)


@given(batches, st.randoms())
def test_a_plan_names_each_task_by_slot_and_attempt_whatever_their_order(tasks, random):
    plan = TaskPlan.over(tasks)
    shuffled = list(tasks)
    random.shuffle(shuffled)
    assert TaskPlan.over(shuffled).cid == plan.cid
    assert plan.tasks_in(*PLACE) == {(one.slot, one.attempt): one.cid for one in tasks}
    assert TaskPlan.from_bytes(plan.canonical_bytes()) == plan


@pytest.mark.parametrize("place", [("atlas1other", 7, 2), ("atlas1c", 8, 2), ("atlas1c", 7, 3)])
def test_a_plan_of_another_round_names_nothing(place):
    assert TaskPlan.over([task(0)]).tasks_in(*place) == {}


def test_tasks_of_two_rounds_make_no_plan():
    with pytest.raises(ValueError, match="one round"):
        TaskPlan.over([task(0), task(1, number=3)])


@pytest.mark.parametrize("slots", [[], [1, 0], [0, 0]])
def test_slots_rise_and_there_is_one(slots):
    tasks = [PlannedTask(slot=slot, attempt=1, task=CID) for slot in slots]
    with pytest.raises(ValueError, match="tasks"):
        TaskPlan(contract="atlas1c", job_id=7, round=2, tasks=tasks)


def test_what_is_no_plan_is_refused():
    with pytest.raises(SpecError, match="TaskPlan"):
        TaskPlan.from_bytes(task(0).canonical_bytes())
