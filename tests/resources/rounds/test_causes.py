"""Why a round has too few updates, in one sentence."""

from dataclasses import replace

import pytest

from atlas.errors import AtlasError
from atlas.unexpected import LONGEST
from resources.dispatch.outcomes import LostTask
from resources.errors import QuorumError
from resources.jobs.registry import Attempt
from resources.rounds.causes import Cause, advice, describe_causes, is_stuck
from resources.rounds.tasks import evaluation_task, training_tasks

OVERFLOW = "TrainingError: Step 1 cannot be taken at learning rate {}."


def test_causes_that_differ_in_numbers_only_are_counted_together():
    causes = [Cause(f"s{slot:03d}", OVERFLOW.format(slot), slot % 2 + 1, f"/log-{slot}") for slot in range(4)]
    assert describe_causes(causes, 4) == (
        '4 of 4 shards failed: 4 times "TrainingError: Step 1 cannot be taken at learning rate 0." '
        "(first: s000 on node 1; log /log-0)."
    )


def test_the_most_frequent_causes_come_first_and_the_rest_is_counted():
    kinds = [
        "no node is available",
        "out of memory",
        "out of memory",
        "bad rows",
        "refused by gate norm: 3.5",
        "stalled",
    ]
    causes = [Cause(f"s{slot:03d}", kind) for slot, kind in enumerate(kinds)]
    told = describe_causes(causes, 9)
    assert told.startswith(
        '6 of 9 shards failed: 2 times "out of memory" (first: s001); once "no node is available" (s000)'
    )
    assert told.endswith("2 for other reasons; see `atlas job show`.")


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


def attempt(task, number, reason, node=1, **fields):
    return Attempt(task.slot, number, task.task_id, task.cid, node, "lost", reason=reason, **fields)


def test_a_round_without_updates_ends_with_its_causes_the_node_and_the_log(place, job):
    tasks, lost = training_tasks(job, 1, job.untrained), []
    for task in tasks:
        reason = OVERFLOW.format("1e+38") if task.slot else "its node was not heard of in time\n" * 100
        place.registry.record_assigned(job.round(1), attempt(task, 1, "earlier", node=2))
        place.registry.record_assigned(job.round(1), attempt(task, 2, reason, node=1))
        lost.append(LostTask(task, f"given up after 2 attempts: {reason}"))
    log = place.home.nodes / "node-1" / "logs" / f"{tasks[1].task_id}-2.log"
    log.parent.mkdir(parents=True)
    log.touch()
    with pytest.raises(QuorumError) as raised:
        place.round(job).build_manifest(lost)
    told = str(raised.value)
    assert told.startswith(f"Round 1 of job {job.name!r} has 0 of the 2 updates that its quorum requires. 4 of 4 ")
    assert f'3 times "{OVERFLOW.format("1e+38")}" (first: s001 on node 1; log {log})' in told
    assert f"(s000 on node 1; log logs/{tasks[0].task_id}-2.log in the folder of node 1)" in told
    assert told.endswith(
        "Remove the cause and run the job again, which keeps what is finished. If it needs other settings, order it "
        f"under another name; `atlas job cancel {job.name}` ends the job and returns the rest of its escrow."
    )
    assert len(told.splitlines()) == 1
    assert len(told) < 3 * LONGEST


def test_a_task_that_no_node_took_has_no_node_and_no_log(place, job):
    (task, *_) = training_tasks(job, 1, job.untrained)
    (cause,) = place.round(job).causes([LostTask(task, "waited 60 s, because no node is available")])
    assert (cause.node, cause.log) == (None, None)
    assert cause.reason == "waited 60 s, because no node is available"


def test_an_evaluation_that_is_lost_names_its_node(place, job):
    task = evaluation_task(job, 1, job.untrained, job.untrained)
    place.registry.record_assigned(job.round(1), attempt(task, 1, "KeyError: 'x'", node=7))
    outcome = LostTask(task, "given up after 1 attempt: KeyError: 'x'")
    error = place.round(job).task_lost("The checkpoint was not evaluated", outcome)
    assert isinstance(error, AtlasError)
    assert str(error).startswith("The checkpoint was not evaluated: KeyError: 'x' (evaluation on node 7; log logs/")
    assert "Remove the cause and run the job again" in str(error)
    repeated = replace(outcome, final="repeats")
    error = place.round(job).task_lost("The checkpoint was not evaluated", repeated)
    assert f"Another run would end in the same way: `atlas job cancel {job.name}` ends the job" in str(error)


@pytest.mark.parametrize(
    ("finals", "updates", "stuck"),
    [
        ((None, None, None, None), 0, False),
        (("repeats", "repeats", None), 1, False),
        (("repeats", "repeats", "repeats"), 1, True),
        (("repeats", "repeats", "repeats", None), 0, True),
        (("excluded", "excluded", "excluded", None), 0, False),
        (("excluded", "excluded", "repeats"), 1, True),
        (("repeats",), 0, False),
    ],
)
def test_a_job_is_stuck_if_no_run_can_bring_the_quorum(finals, updates, stuck):
    causes = [Cause(f"s{slot:03d}", "reason", final=final) for slot, final in enumerate(finals)]
    assert is_stuck(causes, shards=4, updates=updates, needed=2) is stuck
    told = advice("tiny", causes, stuck)
    assert "`atlas job cancel tiny`" in told
    assert ("run the job again" in told) is not stuck


def test_a_job_that_has_ended_is_not_to_be_cancelled():
    assert advice("tiny", [Cause("s000", "job 1 is closed", final="ended")], stuck=True) == (
        "Order the missing rounds as a job with another name."
    )
