"""The table of commands says of each what the command says of itself."""

import pytest
from typer.testing import CliRunner

from atlas.terminal.deferred import Deferred, Group
from atlas_pipelines.cli.commands import COMMANDS
from atlas_pipelines.cli.main import app


def leaves(entries, path=()):
    for name, entry in entries.items():
        if isinstance(entry, Group):
            yield from leaves(entry.commands, (*path, name))
        else:
            yield pytest.param(name, entry, id=" ".join((*path, name)))


@pytest.mark.parametrize(("name", "entry"), leaves(COMMANDS))
def test_the_table_repeats_the_first_paragraph_of_the_docstring(name, entry):
    command = Deferred(name, entry).load()
    assert command.name == name
    assert command.help.split("\n\n")[0].replace("\n", " ") == entry.short


def test_the_version_is_one_line():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("Atlas Pipelines ")
    assert result.output.count("\n") == 1
