"""Dagster's daemon calls a hook after a run that it did not launch itself has failed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from atlas.home import AtlasHome
from atlas_pipelines.dagster_home import prepare_dagster_home
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

SECONDS = 300


def wait_for(condition, log: Path):
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, log.read_text()[-8000:]
        time.sleep(0.5)
    return value


def test_a_hook_hears_of_a_run_that_failed(tmp_path):
    out, log = tmp_path / "alert.json", tmp_path / "daemon.log"
    script = f"import sys; open({str(out)!r} + '.new', 'w').write(sys.stdin.read())"
    script += f"; import os; os.rename({str(out)!r} + '.new', {str(out)!r})"
    hook = {"name": "file", "kind": "command", "command": [sys.executable, "-c", script]}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"hooks": [hook]}))
    environment = {**os.environ, "ATLAS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path / "dagster")}
    folder = prepare_dagster_home(AtlasHome(tmp_path), environment)
    command = [Path(sys.executable).parent / "dagster-daemon", "run", "-m", "atlas_pipelines.definitions"]

    @dg.asset
    def broken():
        raise dg.Failure("no rows")

    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output) as daemon,
        dg.DagsterInstance.from_config(str(folder)) as instance,
    ):
        try:

            def listening():
                states = [one for one in instance.all_instigator_state() if one.name == "alert_on_failure"]
                return states and instance.get_ticks(states[0].instigator_origin_id, states[0].selector_id, limit=1)

            wait_for(listening, log)
            result = dg.materialize([broken], instance=instance, raise_on_error=False)
            wait_for(out.exists, log)
        finally:
            daemon.terminate()
    alert = json.loads(out.read_text())
    assert (alert["event"], alert["run"], alert["text"]) == ("run.failed", result.run_id, "no rows")
