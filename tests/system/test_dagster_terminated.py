"""*Terminate* in the Dagster UI leaves a canceled run; a refused order leaves the partition as it was."""

import json
import signal
import socket

import pytest

from resources.jobs.registry import JobRegistry, RoundRef
from tests.support.pipeline.dagster_server import Dagster

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_a_terminated_run_is_canceled_and_a_refused_order_is_no_failed_run(workplace, tiny_spec):
    place = workplace()
    spec = tiny_spec(training={"steps": 4000, "checkpoint_every": 50, "learning_rate": 0.001}, rounds=1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = place.start("up", "--port", str(port))
    place.wait_for(lambda: "Ctrl-C" in place.output(), "the web server")
    dagster, registry = Dagster(f"http://127.0.0.1:{port}"), JobRegistry(place.home / "coordinator.db")

    def assigned() -> bool:
        job = registry.job("tiny")
        return job is not None and bool(registry.attempts(RoundRef(job.contract, job.job_id, 1)))

    run = dagster.launch_round("tiny-r0001", {"spec": str(spec)})
    place.wait_for(assigned, "tasks in work")
    dagster.terminate(run)
    assert dagster.wait_for(run) == "CANCELED"
    (failed,) = [event for event in dagster.events(run) if event["__typename"] == "ExecutionStepFailureEvent"]
    assert failed["stepKey"] == "round_manifest"
    assert "The run was interrupted." in failed["error"]["message"]
    assert failed["error"]["cause"] is None

    refused = dagster.launch_round("tiny-r0001", {"spec": str(spec), "settings": ["training.steps=5"]})
    assert dagster.wait_for(refused) == "CANCELED"
    assert "training.steps: 4000 there, 5 here" in json.dumps(dagster.events(refused))
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
