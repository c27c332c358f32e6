"""`atlas run` is killed, then terminated, then run to its end: Dagster knows that each ended, and nothing is lost."""

import signal

import dagster as dg
import pytest

from resources.jobs.registry import JobRegistry, RoundRef

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_dagster_knows_that_each_run_ended(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(training={"steps": 600, "checkpoint_every": 50, "learning_rate": 0.001}, rounds=1)
    registry = JobRegistry(place.home / "coordinator.db")

    def assigned(more_than: int) -> int | None:
        job = registry.job("tiny")
        found = len(registry.attempts(RoundRef(job.contract, job.job_id, 1))) if job else 0
        return found if found > more_than else None

    def states() -> list[str]:
        with dg.DagsterInstance.from_config(place.environment["DAGSTER_HOME"]) as instance:
            return sorted(run.status.value for run in instance.get_runs())

    killed = place.start("run", spec)
    place.wait_for(lambda: assigned(more_than=0), "tasks in work")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert states() == ["STARTED"], "nobody has told Dagster yet"

    before = len(place.output())
    terminated = place.start("run", spec)
    place.wait_for(lambda: states() == ["FAILURE", "STARTED"], "the second run to find the first one dead")
    place.wait_for(lambda: "node" in place.output()[before:], "the second run to have tasks in work")
    terminated.send_signal(signal.SIGTERM)
    assert terminated.wait(60) == 130
    assert states() == ["CANCELED", "FAILURE"]
    assert "Run the same command again" in place.output()
    assert "Traceback" not in place.output()
    assert "Exception ignored" not in place.output()

    summary = place.json("run", spec)
    assert states() == ["CANCELED", "FAILURE", "SUCCESS"]
    assert sorted(task["shard"] or "" for task in summary["tasks"] if task["state"] == "completed") == [
        "",
        "s000",
        "s001",
        "s002",
        "s003",
    ]
    assert sum(node["credited"] for node in summary["nodes"]) == 5 * 100_000
