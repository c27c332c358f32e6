"""Dagster's web server as `atlas up --host` starts it: who may ask what, and a reload by the operator."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from atlas.home import AtlasHome
from atlas_pipelines.reloading import reload_definitions
from atlas_pipelines.webserver.address import WebAddress
from resources.jobs.schedules import JobSchedule, JobSchedules
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

EVERYWHERE = "0.0.0.0"
SCHEDULES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { schedules { name defaultStatus } } } } }"
RELOAD = "mutation { reloadWorkspace { __typename } }"
START_SECONDS = 240


@pytest.fixture
def web_server(tmp_path):
    """A web server of an empty home that other machines can reach; its address, with the tokens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = WebAddress.of(EVERYWHERE, probe.getsockname()[1], AtlasHome(tmp_path))
    (tmp_path / "dagster").mkdir()
    environment = {**os.environ, "ATLAS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    command = [sys.executable, "-m", "atlas_pipelines.webserver", "--host", EVERYWHERE, "--port", str(address.port)]
    with (
        (tmp_path / "output.log").open("wb") as log,
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(address):
                assert server.poll() is None, (tmp_path / "output.log").read_text()
                assert time.monotonic() < deadline, "the web server does not answer"
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()


def answers(address: WebAddress) -> bool:
    try:
        return bool(schedules(address))
    except (urllib.error.URLError, ConnectionError):
        return False


def ask(address: WebAddress, token: str | None, query: str) -> dict:
    request = urllib.request.Request(
        f"{address.url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def schedules(address: WebAddress) -> dict[str, str]:
    """The default status of each schedule that the web server shows to a guest, by name."""
    (repository,) = ask(address, address.tokens.guest, SCHEDULES)["repositoriesOrError"]["nodes"]
    return {one["name"]: one["defaultStatus"] for one in repository["schedules"]}


def test_the_operator_changes_a_guest_reads_and_nobody_else_is_let_in(web_server, tmp_path):
    assert list(schedules(web_server)) == ["weekly_retraining"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(web_server, None, SCHEDULES)
    assert ask(web_server, web_server.tokens.guest, RELOAD)["reloadWorkspace"]["__typename"] == "UnauthorizedError"

    kept = JobSchedules(tmp_path / "coordinator.db")
    kept.put("my-job", 1, JobSchedule(cron="0 3 * * 1", enabled=True))
    reload_definitions(web_server.url, web_server.token)
    assert schedules(web_server) == {"retrain_my_job": "RUNNING", "weekly_retraining": "STOPPED"}
    kept.put("my-job", 1, None)
    reload_definitions(web_server.url, web_server.token)
    assert list(schedules(web_server)) == ["weekly_retraining"]
    assert web_server.token not in (tmp_path / "output.log").read_text()
