"""The process that keeps the local network is killed with kill -9: its users notice and start it again."""

import json
import os
import signal
import socket

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system

REWARD = 100_000


def supervisor_of(place) -> int | None:
    """The process id in network.json, if there is one."""
    try:
        return int(json.loads((place.home / "network.json").read_bytes())["pid"])
    except (FileNotFoundError, ValueError):
        return None


def kill_supervisor(place) -> None:
    """Kill it, and wait for another one."""
    killed = supervisor_of(place)
    os.kill(killed, signal.SIGKILL)
    place.wait_for(lambda: supervisor_of(place) not in (None, killed), "another supervisor")


def test_a_run_in_work_goes_on_at_the_same_addresses_and_everybody_is_paid_once(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(rounds=1, training={"steps": 1500, "checkpoint_every": 20, "learning_rate": 0.001})
    run = place.start("run", spec)
    registry = JobRegistry(place.home / "coordinator.db")

    def training():
        job = registry.job("tiny")
        return job and any(registry.newest_checkpoint(one.task_id) for one in registry.attempts(job.round(1)))

    place.wait_for(training, "a round in training")
    kill_supervisor(place)
    assert run.wait(timeout=500) == 0, place.output()[-6000:]
    assert "ended unexpectedly; the network is restarted" in place.output()
    assert "runs again at the same addresses" in place.output()
    summary = place.json("run", spec)
    completed = [task for task in summary["tasks"] if task["state"] == "completed"]
    assert len(completed) == 5
    assert sum(node["credited"] for node in summary["nodes"]) == 5 * REWARD


def test_atlas_up_starts_it_again_and_says_so(workplace):
    place = workplace()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = place.start("up", "--port", str(port), "--agents", "1")
    place.wait_for(lambda: "Ctrl-C stops" in place.output(), "atlas up", 500)
    kill_supervisor(place)
    place.wait_for(lambda: "runs again at the same addresses" in place.output(), "the notice")
    checks = {check["check"]: check for check in place.json("doctor")["checks"]}
    assert checks["supervisor"]["state"] == checks["chain"]["state"] == checks["messages"]["state"] == "ok"
    up.send_signal(signal.SIGINT)
    up.wait(timeout=120)
