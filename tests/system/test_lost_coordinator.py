"""The coordinator is killed with kill -9 in mid-round and started again: no second training, no second payment."""

import signal

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system

REWARD = 100_000


def test_a_second_start_adopts_what_is_done(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(training={"steps": 400, "checkpoint_every": 50, "learning_rate": 0.001})
    run = place.start("run", spec)
    registry = JobRegistry(place.home / "coordinator.db")

    def some_but_not_all():
        job = registry.job("tiny")
        attempts = registry.attempts(job.round(1)) if job else []
        done = {attempt.task_id: attempt.receipt_cid for attempt in attempts if attempt.state == "completed"}
        return done if 1 <= len(done) < 4 else None

    done = place.wait_for(some_but_not_all, "a round that is half done")
    run.send_signal(signal.SIGKILL)
    run.wait()

    summary = place.json("run", spec)
    job = registry.job("tiny")
    attempts = registry.attempts(job.round(1))
    kept = {attempt.task_id: attempt.receipt_cid for attempt in attempts if attempt.task_id in done}
    assert kept == done, "a finished shard was trained again"
    assert {task["attempt"] for task in summary["tasks"]} == {1}
    assert len(summary["tasks"]) == 10
    assert sum(node["credited"] for node in summary["nodes"]) == 10 * REWARD

    third = place.json("run", spec)
    assert third["checkpoint"] == summary["checkpoint"]
    assert [node["credited"] for node in third["nodes"]] == [node["credited"] for node in summary["nodes"]]
