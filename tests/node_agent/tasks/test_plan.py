"""The node's decisions: pure, so that every situation can be tried."""

from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.client.messages import Lease
from node_agent.tasks.decision import LOOKS, Drop, Observed, Start, plan, still_held

TASKS = [f"task-{number}" for number in range(6)]


@st.composite
def situations(draw: st.DrawFn) -> Observed:
    slots = draw(st.integers(1, 4))
    unfinished = draw(st.permutations(TASKS))[: draw(st.integers(0, len(TASKS)))]
    runners = draw(st.lists(st.sampled_from(TASKS), unique=True, max_size=slots))
    places = draw(st.permutations(range(slots)))
    return Observed(
        unfinished=unfinished,
        running=dict(zip(runners, places, strict=False)),
        misses=draw(st.dictionaries(st.sampled_from(TASKS), st.integers(0, LOOKS + 1))),
        slots=slots,
        stopping=draw(st.booleans()),
    )


def starts(observed: Observed) -> list[Start]:
    return [action for action in plan(observed) if isinstance(action, Start)]


def drops(observed: Observed) -> list[str]:
    return [action.task for action in plan(observed) if isinstance(action, Drop)]


@given(situations())
def test_no_slot_is_used_twice_and_no_task_started_twice(observed: Observed) -> None:
    places = [*observed.running.values(), *(start.slot for start in starts(observed))]
    assert len(places) == len(set(places)) <= observed.slots
    tasks = [*observed.running, *(start.task for start in starts(observed))]
    assert len(tasks) == len(set(tasks))


@given(situations())
def test_only_tasks_with_a_lease_in_hand_are_started_in_order(observed: Observed) -> None:
    started = [start.task for start in starts(observed)]
    ready = [task for task in observed.unfinished if observed.misses.get(task) == 0 and task not in observed.running]
    assert started == ready[: len(started)]
    if not observed.stopping:
        assert len(started) == min(len(ready), observed.slots - len(observed.running))
    else:
        assert not started


@given(situations())
def test_exactly_what_was_missed_often_enough_is_dropped(observed: Observed) -> None:
    gone = [task for task in observed.unfinished if observed.misses.get(task, 0) >= LOOKS]
    assert drops(observed) == gone
    unknown = [task for task in observed.unfinished if task not in observed.misses]
    assert not set(unknown) & set(drops(observed)), "unknown is not lost"


@given(situations())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(observed: Observed) -> None:
    dropped = set(drops(observed))
    after = Observed(
        unfinished=[task for task in observed.unfinished if task not in dropped],
        running={**observed.running, **{start.task: start.slot for start in starts(observed)}},
        misses=observed.misses,
        slots=observed.slots,
        stopping=observed.stopping,
    )
    assert plan(after) == []


def lease(**changes: object) -> Lease:
    fields = {"job": 1, "round": 1, "slot": 0, "node": 7, "attempt": 2, "until": 1000, "plan": "cid"}
    return Lease.model_validate({**fields, "state": "active", "live": True, **changes})


def test_a_live_lease_of_ours_is_held() -> None:
    assert still_held(lease(), 7, 2, "cid", now=999)


def test_a_lease_that_only_our_silence_made_dead_is_held() -> None:
    assert still_held(lease(live=False), 7, 2, "cid", now=999)


@given(st.sampled_from([{"node": 8}, {"attempt": 3}, {"plan": "other"}, {"state": "completed"}, {"state": "expired"}]))
def test_a_lease_that_differs_is_not_held(change: dict[str, object]) -> None:
    assert not still_held(lease(**change), 7, 2, "cid", now=999)


def test_a_lease_past_its_time_and_no_lease_at_all_are_not_held() -> None:
    assert not still_held(lease(live=False), 7, 2, "cid", now=1001)
    assert not still_held(None, 7, 2, "cid", now=999)
