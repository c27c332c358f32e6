"""The chain goes away while shards train: training does not stop, results wait, and everybody is paid once."""

import signal

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system

REWARD = 100_000


def start_and_wait_for_training(place, spec):
    """`atlas run` in the background, with every shard handed out and one in the middle of its training."""
    run = place.start("run", spec)
    registry = JobRegistry(place.home / "coordinator.db")

    def attempts():
        job = registry.job("tiny")
        return registry.attempts(job.round(1)) if job else []

    def training():
        found = attempts()
        return len(found) == 4 and any(registry.newest_checkpoint(one.task_id) for one in found)

    place.wait_for(training, "a round in training")
    assert any(one.state == "assigned" for one in attempts()), "the round was over too soon to test anything"
    return run, attempts


def chain_of(place):
    (process,) = place.processes("chain_bridge.embedded")
    return process


def everybody_is_paid_once(place, spec):
    summary = place.json("run", spec)
    assert {task["attempt"] for task in summary["tasks"]} == {1}, "a shard was trained twice"
    assert {task["state"] for task in summary["tasks"]} == {"completed"}
    assert len(summary["tasks"]) == 5
    assert sum(node["credited"] for node in summary["nodes"]) == 5 * REWARD
    assert {node["node"]: node["balance"] + node["unclaimed"] for node in summary["nodes"]} == {
        node["node"]: node["credited"] for node in summary["nodes"]
    }


def test_a_chain_that_hangs_stops_no_training(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(rounds=1, training={"steps": 600, "checkpoint_every": 20, "learning_rate": 0.001})
    run, attempts = start_and_wait_for_training(place, spec)
    chain = chain_of(place)
    chain.send_signal(signal.SIGSTOP)
    place.wait_for(
        lambda: all(one.state == "completed" for one in attempts()), "the shards to be trained without a chain"
    )
    assert run.poll() is None, place.output()[-6000:]
    chain.send_signal(signal.SIGCONT)
    assert run.wait(timeout=300) == 0, place.output()[-6000:]
    everybody_is_paid_once(place, spec)


def test_a_chain_that_is_killed_comes_back_where_it_was(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(rounds=1, training={"steps": 600, "checkpoint_every": 20, "learning_rate": 0.001})
    run, _ = start_and_wait_for_training(place, spec)
    chain = chain_of(place)
    chain.send_signal(signal.SIGKILL)

    def another():
        return [one for one in place.processes("chain_bridge.embedded") if one.pid != chain.pid]

    place.wait_for(another, "the chain's supervisor to start it again")
    assert run.wait(timeout=300) == 0, place.output()[-6000:]
    everybody_is_paid_once(place, spec)
