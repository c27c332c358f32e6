"""What a command imports before it does anything. Modules are counted, since times depend on the machine."""

import json
import os
import subprocess
import sys

import pytest

from atlas.terminal.deferred import Group
from atlas_pipelines.cli.commands import COMMANDS

HEAVY = {
    "Crypto",
    "cosmpy",
    "cryptography",
    "dagster",
    "datasets",
    "grpc",
    "nats",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "requests",
    "torch",
    "transformers",
    "wasmtime",
}
RUN = (
    "import json, sys\n"
    "from {module} import app\n"
    "try:\n    app({arguments!r})\n"
    "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
)
LOAD = "import json, sys, {module}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"


def modules_of(script, home):
    environment = {**os.environ, "ATLAS_HOME": str(home), "ATLAS_NODE_HOME": str(home / "node")}
    environment.pop("ATLAS_NETWORK", None)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    return set(json.loads(done.stderr.splitlines()[-1]))


def heavy(script, home):
    return HEAVY & {name.partition(".")[0] for name in modules_of(script, home)}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("atlas_pipelines.cli.main", ["--help"]),
        ("atlas_pipelines.cli.main", ["--version"]),
        ("atlas_pipelines.cli.main", ["chain", "--help"]),
        ("atlas_pipelines.cli.main", ["job", "ls"]),
    ],
    ids=" ".join,
)
def test_lists_and_small_commands_import_nothing_heavy(tmp_path, module, arguments):
    assert heavy(RUN.format(module=module, arguments=arguments), tmp_path) == set()


def test_help_imports_no_command(tmp_path):
    loaded = modules_of(RUN.format(module="atlas_pipelines.cli.main", arguments=["--help"]), tmp_path)
    assert not {name for name in loaded if name.startswith(("resources", "assets", "chain_bridge", "node_agent"))}


def test_the_code_location_imports_dagster_and_nothing_else_that_is_heavy(tmp_path):
    # Sealing needs `cryptography`, whose import is small.
    assert heavy(LOAD.format(module="atlas_pipelines.definitions"), tmp_path) == {"dagster", "cryptography"}


def modules_of_commands(entries):
    for entry in entries.values():
        if isinstance(entry, Group):
            yield from modules_of_commands(entry.commands)
        else:
            yield entry.where.partition(":")[0]


def test_only_atlas_run_imports_dagster_and_none_imports_a_training_library(tmp_path):
    others = sorted(set(modules_of_commands(COMMANDS)) - {"atlas_pipelines.cli.run.run"})
    found = heavy(LOAD.format(module=", ".join(others)), tmp_path)
    assert found.isdisjoint({"dagster", "datasets", "nats", "pandas", "peft", "pyarrow", "torch", "transformers"})
    assert "dagster" in heavy(LOAD.format(module="atlas_pipelines.cli.run.run"), tmp_path)
