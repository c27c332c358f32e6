"""What stands still without dying, as with SIGSTOP: a trainer is started again, and a whole agent's shards move on."""

import re
import signal

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system


def in_mid_shard(place):
    """The node id of an attempt in work that has a checkpoint to go on from."""
    registry = JobRegistry(place.home / "coordinator.db")
    job = registry.job("tiny")
    attempts = registry.attempts(job.round(1)) if job else []
    return next(
        (one.node_id for one in attempts if one.state == "assigned" and registry.newest_checkpoint(one.task_id)), None
    )


def of_node(node, processes):
    return next(process for process in processes if f"node-{node}" in " ".join(process.cmdline()))


@pytest.mark.timeout(1500)
def test_a_stopped_trainer_and_a_stopped_agent_cost_time_and_no_result(workplace, tiny_spec):
    training = {"steps": 1500, "checkpoint_every": 20, "learning_rate": 0.001}
    spec = tiny_spec(rounds=1, training=training, fleet={"progress_seconds": 30})
    checkpoints = set()

    place = workplace("trainer")
    run = place.start("run", spec)
    node = place.wait_for(lambda: in_mid_shard(place), "a shard with a checkpoint")
    of_node(node, place.processes("node_agent.trainer")).send_signal(signal.SIGSTOP)
    assert run.wait(timeout=500) == 0, place.output()[-6000:]
    told = r"s00\d, round 1: its trainer made no progress for 30 s on node \d; it resumes from step \d+"
    assert len(re.findall(told, place.output())) == 1, place.output()
    summary = place.json("run", spec)
    assert {task["attempt"] for task in summary["tasks"]} == {1}
    checkpoints.add(summary["checkpoint"])

    place = workplace("agent", ATLAS_HEARTBEAT_SECONDS="600")  # so that the chain alone would wait for ten minutes
    run = place.start("run", spec)
    node = place.wait_for(lambda: in_mid_shard(place), "a shard with a checkpoint")
    agent = of_node(node, place.processes("node_agent", "start"))
    for trainer in agent.children():
        trainer.send_signal(signal.SIGSTOP)
    agent.send_signal(signal.SIGSTOP)
    assert run.wait(timeout=500) == 0, place.output()[-6000:]
    told = rf"s00\d, round 1: moves from node {node} to node \d and resumes from step \d+ \(attempt 2\)"
    assert re.search(told, place.output()), place.output()
    assert f"on node {node} is lost: no progress for 54 s" in place.output()
    summary = place.json("run", spec)
    assert {task["attempt"] for task in summary["tasks"]} == {1, 2}
    checkpoints.add(summary["checkpoint"])

    assert len(checkpoints) == 1, "who trained what, and what was stopped, changes no byte"
