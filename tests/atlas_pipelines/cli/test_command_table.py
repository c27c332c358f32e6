"""The table of commands says of each what the command says of itself."""

import re

import pytest
from typer.testing import CliRunner

from atlas.terminal.deferred import Deferred, Group
from atlas_pipelines.cli.commands import COMMANDS
from atlas_pipelines.cli.main import app
from tests.support.paths import REPOSITORY


def leaves(entries, path=()):
    for name, entry in entries.items():
        if isinstance(entry, Group):
            yield from leaves(entry.commands, (*path, name))
        else:
            yield pytest.param(name, entry, id=" ".join((*path, name)))


@pytest.mark.parametrize(("name", "entry"), list(leaves(COMMANDS)))
def test_the_table_repeats_the_first_paragraph_of_the_docstring(name, entry):
    command = Deferred(name, entry).load()
    assert command.name == name
    assert command.help.split("\n\n")[0].replace("\n", " ") == entry.short


PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_is_there(page):
    for first, second in re.findall(r"(?:^|`) *atlas ([a-z]+)(?: ([a-z-]+))?", page.read_text(), re.MULTILINE):
        assert first in COMMANDS, first
        entry = COMMANDS[first]
        assert not second or not isinstance(entry, Group) or second in entry.commands, f"{first} {second}"


def test_the_version_is_one_line():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("Atlas Pipelines ")
    assert result.output.count("\n") == 1
