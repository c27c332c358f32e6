import json
import os
import subprocess
import sys
from collections.abc import Callable

import dagster as dg
import pytest

from assets.fleet_run.pipes import LOG_LINES, PipesSessions
from atlas.content.format.cid import cid_of_bytes
from atlas.spec.job import TaskSpec
from resources.dispatch.outcomes import TaskUpdate

CID = cid_of_bytes(b"any")
TRAINER = """
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    pipes.log.info(f"training {pipes.asset_key} {pipes.partition_key} {pipes.get_extra('task')}")
    pipes.report_custom_message({"kind": "progress", "step": 1})
"""


def task(slot: int = 0, attempt: int = 1) -> TaskSpec:
    common = {"contract": "atlas1", "job_id": 1, "job": CID, "model": CID, "data": CID, "base": CID}
    return TaskSpec(kind="train", round=2, slot=slot, shard=f"s{slot:03d}", rows=10, attempt=attempt, **common)


def message(of: TaskSpec, content: dict) -> TaskUpdate:
    return TaskUpdate(of, "message", "said something", node_id=7, message=content)


def run_step(body: Callable[[dg.AssetExecutionContext, PipesSessions], None]) -> list[str]:
    """Run `body` inside a step of a round's asset; the lines of the run's log."""

    @dg.asset(name="round_manifest")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        with PipesSessions(context, "shard_adapter", lambda of: f"a-r0002|a-{of.shard}") as sessions:
            body(context, sessions)
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([step], instance=instance)
        return [entry.user_message for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]


def relayed(of: TaskSpec, environment: dict[str, str]) -> list[TaskUpdate]:
    done = subprocess.run(
        [sys.executable, "-u", "-c", TRAINER], env={**os.environ, **environment}, capture_output=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(b'{"__dagster_pipes_version"')]
    return [message(of, json.loads(line)) for line in lines]


def test_a_trainer_reports_as_the_shard_that_it_trains():
    def body(context, sessions):
        for of in (task(0), task(1)):
            for update in relayed(of, sessions.environment(of)):
                sessions.forward(update)

    log = run_step(body)
    for of in (task(0), task(1)):
        partition = f"a-r0002|a-{of.shard}"
        assert f"[{partition}] training shard_adapter {partition} {of.task_id}" in log
    assert not [line for line in log if "did not receive" in line]


def test_a_second_attempt_has_a_session_of_its_own():
    def body(context, sessions):
        first, second = task(attempt=1), task(attempt=2)
        environments = [sessions.environment(of) for of in (first, first, second)]
        assert environments[0] == environments[1]
        for of in (first, second):
            for update in relayed(of, sessions.environment(of)):
                sessions.forward(update)

    log = run_step(body)
    assert sum("training shard_adapter" in line for line in log) == 2
    assert not [line for line in log if "after closed" in line]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"method": "rm"},
        {"method": ["log"]},
        {"method": "log", "params": None},
        {"method": "log", "params": {"message": 3, "level": []}},
        {"method": "opened", "params": 3},
        {"method": "closed", "params": {"exception": 3}},
        {"method": "report_asset_materialization", "params": {"asset_key": 3, "metadata": 3, "data_version": 3}},
        {"method": "log_external_stream", "params": {"stream": "stdout", "text": "forged"}},
    ],
)
def test_nothing_that_a_node_sends_ends_the_round(content, capfd):
    def body(context, sessions):
        sessions.environment(task())
        sessions.forward(message(task(), content))
        context.log.info("still here")

    assert "still here" in run_step(body)
    assert "forged" not in capfd.readouterr().out


def test_a_message_for_no_open_session_is_dropped():
    def body(context, sessions):
        sessions.forward(message(task(), {"method": "log", "params": {"message": "who am I", "level": "INFO"}}))

    assert not [line for line in run_step(body) if "who am I" in line]


def test_a_talkative_node_is_cut_short():
    def body(context, sessions):
        sessions.environment(task())
        for number in range(LOG_LINES + 50):
            line = {"method": "log", "params": {"message": f"line {number}", "level": "INFO"}}
            sessions.forward(message(task(), line))

    assert sum("line " in line for line in run_step(body)) == LOG_LINES
