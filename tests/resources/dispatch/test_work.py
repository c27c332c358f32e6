"""The next step for a task, from what the chain says of its slot."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.documents.manifests import Environment, Receipt, SavedCheckpoint, SignedReceipt
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Lease
from node_agent.tasks.standstill import LOOKS_PER_LIMIT
from node_agent.wire.messages import TaskReport
from resources.dispatch.leased_tasks import LeasedTask
from resources.dispatch.outcomes import CompletedTask
from resources.dispatch.work import Held, Step, Work, is_sign, next_step, patience_of

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def task(attempt: int = 1, number: int = 1) -> TaskSpec:
    return TaskSpec(
        kind="train", contract="atlas1c", job_id=1, job=CID, model=CID, round=number, slot=0, shard="s000",
        data=CID, rows=10, base=CID, attempt=attempt,
    )  # fmt: skip


def lease(of: TaskSpec, state: str = "active", live: bool = True, node: int = 1) -> Lease:
    return Lease(job=1, round=1, slot=0, node=node, attempt=of.attempt, until=100, plan=CID, state=state, live=live)


def step(work: Work, lease: Lease | None, leased: TaskSpec | None) -> Step:
    return next_step(work, lease, LeasedTask(leased.cid, leased) if leased else None)


def completed(of: TaskSpec) -> CompletedTask:
    environment = Environment(device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32")
    receipt = Receipt(
        task=of.cid, task_id=of.task_id, attempt=of.attempt, node="atlas1n", data=CID, base=CID, adapter=CID,
        environment=environment, started_at=0, finished_at=1,
    )  # fmt: skip
    return CompletedTask(of, of.cid, 1, SignedReceipt(receipt=receipt, public_key="", signature=""), CID)


def held(of: TaskSpec) -> Work:
    work = Work(task())
    work.begin(Held(1, "atlas1n", of, of.cid))
    return work


def test_a_slot_without_a_lease_is_assigned():
    assert step(Work(task()), None, None) is Step.ASSIGN


@pytest.mark.parametrize("state", ["active", "released", "expired"])
def test_a_lease_that_is_not_live_is_assigned_anew(state):
    first = task()
    assert step(held(first), lease(first, state, live=False), first) is Step.ASSIGN


def test_a_live_lease_is_followed_by_whoever_holds_it_and_taken_over_after_a_restart():
    first = task()
    assert step(held(first), lease(first), first) is Step.FOLLOW
    assert step(Work(task()), lease(first), first) is Step.TAKE_OVER


def test_an_attempt_that_somebody_else_handed_out_meanwhile_is_taken_over():
    assert step(held(task()), lease(task(attempt=2)), task(attempt=2)) is Step.TAKE_OVER


def test_a_live_lease_for_other_work_is_released():
    other = task(number=2)
    assert step(Work(task()), lease(other), other) is Step.RELEASE
    assert step(Work(task()), lease(other), None) is Step.RELEASE


def test_a_failed_attempt_is_released_first():
    first = task()
    work = held(first)
    work.failed = "out of memory"
    assert step(work, lease(first), first) is Step.RELEASE


@pytest.mark.parametrize("live", [True, False])
def test_a_result_is_completed_though_its_lease_ran_out_and_delivered_once_the_chain_has_it(live):
    first = task()
    work = held(first)
    work.result = completed(first)
    assert step(work, lease(first, live=live), first) is Step.COMPLETE
    assert step(work, lease(first, "completed", live=False), first) is Step.DELIVER


@pytest.mark.parametrize("state", ["released", "expired"])
def test_a_result_whose_lease_was_ended_by_somebody_else_is_void(state):
    first = task()
    work = held(first)
    work.result = completed(first)
    assert step(work, lease(first, state, live=False), first) is Step.ASSIGN


def test_a_result_of_an_old_attempt_is_void():
    work = Work(task(), result=completed(task()))
    second = task(attempt=2)
    assert step(work, lease(second), second) is Step.TAKE_OVER


def test_a_completed_slot_without_a_known_result_is_asked_for_and_given_up_if_its_node_has_none():
    first = task()
    done = lease(first, "completed", live=False)
    assert step(Work(task()), done, first) is Step.TAKE_OVER
    work = held(first)
    assert step(work, done, first) is Step.FOLLOW
    work.failed = "its receipt is gone"
    assert step(work, done, first) is Step.GIVE_UP
    assert step(Work(task(number=2)), done, first) is Step.GIVE_UP


@pytest.mark.parametrize(
    ("sender", "attempt", "fits"), [("atlas1n", 1, True), ("atlas1other", 1, False), ("atlas1n", 2, False)]
)
def test_only_the_holder_of_this_attempt_may_report_on_it(sender, attempt, fits):
    first = task()
    report = TaskReport(task_id=first.task_id, task=task(attempt).cid, attempt=attempt, state="completed")
    assert Held(1, "atlas1n", first, first.cid).fits(sender, report) is fits


def report(state: str = "in_progress", step: int = 0, steps: int = 0, checkpoint: int | None = None) -> TaskReport:
    first = task()
    saved = None if checkpoint is None else SavedCheckpoint(step=checkpoint, cid=CID)
    return TaskReport(
        task_id=first.task_id, task=first.cid, attempt=1, state=state, step=step, steps=steps, checkpoint=saved
    )


@pytest.mark.parametrize(
    ("before", "now", "reports_stages", "counts"),
    [
        (report(step=3, steps=9), report(step=4, steps=9), True, True),
        (report(step=3, steps=9), report(step=3, steps=9), True, False),
        (report(step=9, steps=9), report(step=4, steps=9), True, True),  # it was set back: its trainer runs again
        (report(step=3, steps=9), report(step=3, steps=9, checkpoint=2), True, True),
        (report("pending"), report("pending"), True, True),  # it waits for its turn on its node
        (report(), report(), False, True),  # an older agent may be fetching or loading
        (report(), report(), True, False),
        (None, report(step=3, steps=9), True, True),
    ],
)
def test_what_in_a_report_shows_that_work_advances(before, now, reports_stages, counts):
    assert is_sign(now, before, reports_stages) is counts


@given(st.integers(min_value=1, max_value=10**6), st.floats(min_value=0, max_value=1e4), st.floats(0, 1e4))
def test_the_coordinator_waits_until_the_node_has_had_its_chance(progress, poll, answer):
    noticed = progress * (1 + 1 / LOOKS_PER_LIMIT)
    assert patience_of(progress, poll, answer) > noticed + poll + answer


@given(st.lists(st.booleans(), max_size=60), st.integers(min_value=3, max_value=20))
def test_an_attempt_stands_still_once_its_node_gives_no_sign_for_the_patience(signs, patience):
    """A second between two looks: the verdict falls when the last sign is `patience` seconds old, and not before."""
    work = Work(task(), patience=patience)
    work.begin(Held(1, "atlas1n", task(), task().cid))
    last = 0
    assert not work.stands_still(0.0)
    for second, sign in enumerate(signs, 1):
        if sign:
            work.take_sign()
            last = second
        # A second counts for a quarter of the patience at most.
        counted = (second - last) * min(1.0, patience / 4)
        assert work.stands_still(float(second)) is (counted >= patience)


def test_a_new_attempt_begins_with_its_whole_patience_and_an_ended_one_is_not_judged():
    work = Work(task(), patience=4)
    assert not work.stands_still(0.0)
    for attempt in (1, 2):
        work.begin(Held(1, "atlas1n", task(attempt), task(attempt).cid))
        assert [work.stands_still(100.0 * attempt + second) for second in range(6)] == [False] * 4 + [True] * 2
    work.judging = True
    assert not work.stands_still(1000.0)
    work.judging, work.failed = False, "out of memory"
    assert not work.stands_still(2000.0)
    assert Work(task()).patience == math.inf
