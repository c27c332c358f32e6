"""A table of commands, whose modules are imported when a command runs."""

import sys

import pytest
import typer
from typer.testing import CliRunner

from atlas.terminal.deferred import Command, DeferredGroup, Group, commands_of

MODULE = '''
import typer
from typing import Annotated

def greet(name: Annotated[str, typer.Argument(help="Whom.")], loud: bool = False) -> None:
    """Greet someone."""
    print(f"Hello {name.upper() if loud else name}")

app = typer.Typer()

@app.command()
def first() -> None:
    """The first."""
    print("first ran")

@app.command()
def second() -> None:
    """The second."""
'''
TABLE = {
    "greet": Command("late_commands:greet", "Greet someone."),
    "deep": Group("Deeper ones.", {"hello": Command("late_commands:greet", "Greet someone.")}),
    "app": Command("late_commands:app", "A whole app."),
}


class Root(DeferredGroup):
    def __init__(self, **settings):
        super().__init__(**{**settings, "commands": commands_of(TABLE)})


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "late_commands.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("late_commands", None)
    app = typer.Typer(cls=Root)
    app.callback()(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["deep", "--help"], ["nope"]])
def test_a_list_of_commands_imports_none_of_them(run, arguments):
    run(*arguments)
    assert "late_commands" not in sys.modules


def test_a_list_shows_the_texts_of_the_table(run):
    shown = run("--help").output
    assert all(text in shown for text in ("greet", "Greet someone.", "deep", "Deeper ones.", "A whole app."))


@pytest.mark.parametrize("path", [["greet"], ["deep", "hello"]])
def test_a_command_that_is_named_runs_with_its_own_options(run, path):
    assert run(*path, "Ada", "--loud").output == "Hello ADA\n"


def test_the_help_of_a_command_shows_its_own_options(run):
    assert "--loud" in run("greet", "--help").output


def test_a_command_may_be_an_app_with_commands_of_its_own(run):
    assert run("app", "first").output == "first ran\n"


def test_a_misspelt_command_is_answered_with_the_right_one(run):
    result = run("gret")
    assert result.exit_code == 2
    assert "'greet'" in result.output
