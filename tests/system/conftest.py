"""Run the real commands as their user would, each test in a home of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.paths import REPOSITORY


class Workplace:
    """One `$ATLAS_HOME` and the commands run in it."""

    seconds = 540
    """A command that takes longer has hung."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "ATLAS_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(REPOSITORY),
            **environment,
        }

    def command(self, module: str, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", module, *map(str, arguments)]

    def run(self, *arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """`atlas ARGUMENTS`, to its end; fails with what it printed when it exits otherwise than expected."""
        command = self.command("atlas_pipelines.cli", *arguments)
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=REPOSITORY,
            text=True,
            capture_output=True,
            timeout=self.seconds,
            check=False,
        )
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return done

    def json(self, *arguments: str | Path) -> dict:
        return json.loads(self.run(*arguments, "--json").stdout)

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """`atlas ARGUMENTS` in the background, its output in `$ATLAS_HOME/../output.log`."""
        command = self.command("atlas_pipelines.cli", *arguments)
        with (self.home.parent / "output.log").open("ab") as log:
            return subprocess.Popen(command, env=self.environment, cwd=REPOSITORY, stdout=log, stderr=log)

    def output(self) -> str:
        return (self.home.parent / "output.log").read_text()

    def processes(self, *words: str) -> list[psutil.Process]:
        """Live processes of this home whose command line has all the words."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if str(self.home) in line and all(word in line for word in words):
                found.append(process)
        return found

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 240) -> object:
        """Poll until the condition is true and return its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s in vain for {what}")

    def stop_everything(self) -> None:
        for process in self.processes():
            if process.pid != os.getpid() and process.is_running():
                process.send_signal(signal.SIGKILL)


@pytest.fixture
def workplace(tmp_path):
    """Make a workplace per name; everything that still runs in it is killed at the end."""
    made = []

    def make(name: str = "home", **environment: str) -> Workplace:
        place = Workplace(tmp_path / name / "atlas", **environment)
        place.home.mkdir(parents=True)
        made.append(place)
        return place

    yield make
    for place in made:
        place.stop_everything()
