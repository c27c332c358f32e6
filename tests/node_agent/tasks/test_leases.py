"""What a look at the chain tells of the tasks in hand, and of those that nobody told us about."""

from hypothesis import given
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from chain_bridge.client.messages import Lease
from node_agent.home.journal import JournalEntry
from node_agent.tasks.leases import UnannouncedLeases, held, place_of
from node_agent.wire.messages import AssignHint

NODE, NOW = 7, 1000.0
PLAN = cid_of_bytes(b"plan")


def lease(slot: int, attempt: int = 1, **changes: object) -> Lease:
    fields = {"job": 1, "round": 1, "slot": slot, "node": NODE, "attempt": attempt, "until": 2000, "plan": PLAN}
    return Lease.model_validate({**fields, "state": "active", "live": True, **changes})


def entry(slot: int, attempt: int = 1, plan: str = PLAN) -> JournalEntry:
    cid = cid_of_bytes(f"{slot} {attempt}".encode())
    hint = AssignHint(task=cid, task_id="0" * 16, job_id=1, round=1, slot=slot, attempt=attempt)
    return JournalEntry(hint=hint, plan=plan)


places = st.dictionaries(st.integers(0, 9), st.integers(1, 3), max_size=8)


@given(places, places)
def test_a_task_is_held_if_and_only_if_its_very_attempt_is_leased(entries, leases):
    found = held([entry(*one) for one in entries.items()], [lease(*one) for one in leases.items()], NODE, NOW)
    assert found == {entry(slot, attempt).task: leases.get(slot) == attempt for slot, attempt in entries.items()}


def test_a_lease_under_another_plan_is_not_the_one_that_was_accepted():
    one = entry(0, plan=cid_of_bytes(b"of a chain that was reset"))
    assert held([one], [lease(0)], NODE, NOW) == {one.task: False}


@given(places, places, places)
def test_a_lease_is_overdue_at_the_second_look_that_finds_no_entry_for_it(entries, before, now):
    unannounced, known = UnannouncedLeases(), [entry(*one) for one in entries.items()]
    assert unannounced.look([], [lease(*one) for one in before.items()], NOW) == []
    found = unannounced.look(known, [lease(*one) for one in now.items()], NOW)
    assert {place_of(one)[2:] for one in found} == (now.items() & before.items()) - entries.items()


def test_a_hint_that_comes_between_two_looks_is_enough():
    unannounced = UnannouncedLeases()
    unannounced.look([], [lease(0)], NOW)
    assert unannounced.look([entry(0)], [lease(0)], NOW) == []
    assert unannounced.look([], [lease(0)], NOW) == [], "it was known at the look before"


def test_what_is_past_its_time_is_left_alone_and_what_our_silence_made_dead_is_not():
    unannounced = UnannouncedLeases()
    leases = [lease(0, live=False, until=999), lease(1, live=False, until=1001)]
    unannounced.look([], leases, NOW)
    assert [one.slot for one in unannounced.look([], leases, NOW)] == [1]
