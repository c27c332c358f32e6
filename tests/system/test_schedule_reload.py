"""A web server that runs shows the schedule of a job that is opened later."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from atlas_pipelines.reloading import reload_definitions
from resources.jobs.schedules import JobSchedule, JobSchedules
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

SCHEDULES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { schedules { name defaultStatus } } } } }"
START_SECONDS = 240


@pytest.fixture
def web_server(tmp_path):
    """A web server of an empty home; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "dagster").mkdir()
    environment = {**os.environ, "ATLAS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    command = [Path(sys.executable).parent / "dagster-webserver", "-m", "atlas_pipelines.definitions"]
    with (
        (tmp_path / "output.log").open("wb") as log,
        subprocess.Popen(
            [*command, "--port", str(port)], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
        ) as server,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(port):
                assert server.poll() is None, (tmp_path / "output.log").read_text()
                assert time.monotonic() < deadline, "the web server does not answer"
                time.sleep(0.2)
            yield port
        finally:
            server.terminate()


def answers(port: int) -> bool:
    try:
        return bool(schedules(port))
    except (urllib.error.URLError, ConnectionError):
        return False


def schedules(port: int) -> dict[str, str]:
    """The default status of each schedule that the web server shows, by name."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": SCHEDULES}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        (repository,) = json.load(answer)["data"]["repositoriesOrError"]["nodes"]
    return {one["name"]: one["defaultStatus"] for one in repository["schedules"]}


def test_a_reload_shows_a_new_schedule_and_forgets_a_removed_one(web_server, tmp_path):
    assert list(schedules(web_server)) == ["weekly_retraining"]
    kept = JobSchedules(tmp_path / "coordinator.db")
    kept.put("my-job", 1, JobSchedule(cron="0 3 * * 1", enabled=True))
    reload_definitions(web_server)
    assert schedules(web_server) == {"retrain_my_job": "RUNNING", "weekly_retraining": "STOPPED"}
    kept.put("my-job", 1, None)
    reload_definitions(web_server)
    assert list(schedules(web_server)) == ["weekly_retraining"]
