"""What a shell is offered after Tab."""

import os
import subprocess
import sys

import pytest

from resources.jobs.registry import JobRegistry, JobRow

ASK = (
    "import sys\n"
    "sys.argv = ['atlas']\n"
    "from atlas_pipelines.cli.main import app\n"
    "try:\n    app(prog_name='atlas')\n"
    "finally:\n    print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
)


@pytest.fixture
def complete(tmp_path):
    def ask(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_ATLAS_COMPLETE": "complete_bash"}
        environment = {**os.environ, "ATLAS_HOME": str(tmp_path), **words}
        return subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment)

    registry = JobRegistry(tmp_path / "coordinator.db")
    for name in ("alpha", "beta"):
        registry.save_job(JobRow(name, "spec", "model", "dataset", "genesis", "contract", 1))
    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("atlas jo", ["job"]),
        ("atlas job show ", ["alpha", "beta"]),
        ("atlas job round b", ["beta"]),
        ("atlas job show --j", ["--json"]),
    ],
)
def test_commands_jobs_and_options_are_offered(complete, line, offered):
    assert complete(line).stdout.split() == offered


def test_names_of_jobs_cost_no_import_of_the_command(complete):
    assert "'resources'" not in complete("atlas job show ").stderr


def test_a_damaged_record_of_jobs_offers_nothing_and_says_nothing(complete, tmp_path):
    (tmp_path / "coordinator.db").write_bytes(b"garbage" * 1000)
    done = complete("atlas job show ")
    assert done.stdout.split() == []
    assert "Traceback" not in done.stderr
