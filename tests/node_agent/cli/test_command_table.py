"""The table of commands says of each what the command says of itself, and costs no imports."""

import subprocess
import sys

import pytest

from atlas.terminal.deferred import Deferred, Group
from node_agent.cli.main import COMMANDS


def leaves(entries):
    for name, entry in entries.items():
        if isinstance(entry, Group):
            yield from leaves(entry.commands)
        else:
            yield pytest.param(name, entry, id=entry.where)


@pytest.mark.parametrize(("name", "entry"), list(leaves(COMMANDS)))
def test_the_table_repeats_the_first_paragraph_of_the_docstring(name, entry):
    command = Deferred(name, entry).load()
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == entry.short


def test_a_list_of_the_nodes_commands_imports_no_library_for_training_or_chains():
    script = (
        "import sys\nfrom node_agent.cli.main import app\n"
        "try:\n    app(['--help'])\n"
        "finally:\n    print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr.splitlines()[-1]
    assert "typer" in loaded
    for name in ("torch", "dagster", "numpy", "cosmpy", "grpc", "nats", "pydantic", "chain_bridge"):
        assert f"'{name}'" not in loaded
