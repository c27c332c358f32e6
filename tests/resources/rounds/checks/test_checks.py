"""What the checks of a round find, from numbers alone."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from resources.jobs.registry import Attempt
from resources.rounds.checks.cost import JobCost, cost_within_plan
from resources.rounds.checks.norm_drift import norm_drift
from resources.rounds.checks.refused import refused_share, refused_updates
from resources.rounds.checks.settled import settled_in_time
from resources.rounds.settle import Settlement

CID = cid_of_bytes(b"any")
EVALUATION = 20


def attempt(slot: int, node: int = 1, number: int = 1, **changes) -> Attempt:
    return Attempt(slot, number, "0" * 16, CID, node, **{"state": "completed", **changes})


def refused(slot: int, node: int, gate: str = "finite") -> Attempt:
    return attempt(slot, node, state="refused", gate=gate, reason="has a NaN")


@pytest.mark.parametrize(
    ("median", "before", "passed"),
    [
        (5.0, [], True),
        (3.0, [1.0], True),
        (3.1, [1.0], False),
        (0.1, [1.0], True),
        (0.09, [1.0], False),
        (3.1, [1.0, 2.0, 9.0], True),  # the median of the rounds before is the reference, so one odd round is no reason
        (9.0, [1.0, 2.0, 9.0], False),
        (0.0, [0.0], True),
        (1.0, [0.0], False),
    ],
)
def test_the_median_length_stays_within_a_tenth_and_three_times_that_of_the_rounds_before(median, before, passed):
    assert norm_drift(median, before).passed is passed


def test_longer_and_shorter_updates_have_other_remedies():
    longer, shorter = norm_drift(9.0, [1.0]), norm_drift(0.01, [1.0])
    assert "is 9; in the rounds before it was 1, and 0.1 to 3 is expected" in longer.text
    assert "lower training.learning_rate" in longer.text
    assert "atlas job cancel" in shorter.text
    assert not longer.severe


def test_updates_are_counted_once_each_and_lost_attempts_and_evaluations_are_not():
    found = refused_share(
        [
            attempt(0),
            attempt(1, state="lost", reason="away"),
            refused(1, node=7),
            attempt(1, node=2, number=3),
            attempt(2, node=7, gate="copy", reason="a copy"),  # completed, but left out of the aggregation
            attempt(EVALUATION),
            attempt(3, state="assigned"),
        ],
        EVALUATION,
    )
    assert (found.judged, found.refused, found.share) == (4, 2, 0.5)
    assert found.by_gate_and_node == [("copy", 7, 1), ("finite", 7, 1)]


@pytest.mark.parametrize(
    ("bad", "good", "passed", "severe"),
    [(0, 0, True, False), (1, 9, True, False), (1, 8, False, False), (3, 7, False, False), (4, 6, False, True)],
)
def test_a_tenth_passes_and_more_than_the_rule_tolerates_is_an_error(bad, good, passed, severe):
    attempts = [*(refused(slot, node=3) for slot in range(bad)), *(attempt(bad + slot) for slot in range(good))]
    found = refused_updates(refused_share(attempts, EVALUATION), tolerated=0.3)
    assert (found.passed, found.severe) == (passed, severe)


def test_the_nodes_with_the_most_refusals_are_named_and_the_others_counted():
    attempts = [refused(slot, node=slot // 2 + 1) for slot in range(13)]
    text = refused_updates(refused_share(attempts, EVALUATION), tolerated=0.3).text
    assert text.startswith("The gates have refused 13 of 13 updates: node 1, gate finite (2 times); ")
    assert "; node 5, gate finite (2 times); and 3 more." in text
    assert "aggregation.robust.tolerated (0.3)" in text


def settlement(state: str, **changes) -> Settlement:
    fields = {"due_at": None, "backlog": 0, "waiting_since": None, "submit_tx": None, "settle_tx": None, **changes}
    return Settlement(evidence=CID, root="00", leaf_count=5, scoring="none", per_node=[], state=state, **fields)


@pytest.mark.parametrize(
    ("found", "now", "passed", "text"),
    [
        (settlement("settled", due_at=10), 20.0, True, None),
        (settlement("due", due_at=10), 9.0, True, "ends at 1970-01-01 00:00:10 UTC"),
        (settlement("due", due_at=10), 10.0, False, "due at 1970-01-01 00:00:10 UTC"),
        (settlement("disputed", due_at=10), 20.0, False, "A challenge of this round is open"),
        (
            settlement("pending", backlog=3, waiting_since=60.0),
            90.0,
            False,
            "3 transactions in the outbox, the oldest since 1970-01-01 00:01:00 UTC. `atlas chain status` shows",
        ),
    ],
)
def test_a_round_is_in_time_when_it_is_settled_or_its_window_is_open(found, now, passed, text):
    finding = settled_in_time(found, now)
    assert finding.passed is passed
    assert finding.text is None if text is None else text in finding.text


def cost(**changes) -> JobCost:
    fields = {"paid": 500, "reserved": 0, "free": 1000, "per_round": 500, "rounds_begun": 1, "rounds_left": 2}
    return JobCost(**{"job": "tiny", "state": "open", **fields, **changes})


@pytest.mark.parametrize(
    ("changes", "passed", "severe"),
    [
        ({}, True, False),
        ({"paid": 400, "reserved": 100}, True, False),
        ({"reserved": 1}, False, False),
        ({"free": 999}, False, True),
        ({"free": 0, "state": "cancelled"}, True, False),
        ({"free": 0, "rounds_left": 0}, True, False),
    ],
)
def test_money_stays_within_the_plan_of_the_rounds_begun_and_pays_for_those_left(changes, passed, severe):
    found = cost_within_plan(cost(**changes))
    assert (found.passed, found.severe) == (passed, severe)


def test_a_short_escrow_names_the_command_that_fills_it():
    assert "atlas job top-up tiny 300" in cost_within_plan(cost(free=700)).text
