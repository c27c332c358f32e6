"""A command always ends, and its last line says why."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from atlas.errors import AtlasError, SpecError
from atlas.terminal.commands import CommandGroup, Verbose
from atlas.unexpected import LONGEST, describe_error, one_line, record_unexpected
from tests.support.paths import REPOSITORY


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def cyclic() -> Exception:
    """What Dagster leaves of an error inside an op."""
    inner, outer = OverflowError("date value out of range"), RuntimeError("op failed")
    outer.__cause__, inner.__context__ = inner, outer
    return inner


def deep() -> None:
    deep()


@pytest.fixture
def program(tmp_path):
    """Run a program with one command that raises what it is given; it has tmp_path/logs/program.log."""

    class Group(CommandGroup):
        def log(self) -> Path:
            return tmp_path / "logs" / "program.log"

    def run(error, *arguments: str, where: str = "command"):
        app = typer.Typer(cls=Group, pretty_exceptions_enable=False)

        def fail() -> None:
            if callable(error):
                error()
            raise error

        @app.callback()
        def main(verbose: Verbose = False) -> None:
            if where == "callback":
                fail()

        def option(value: str) -> str:
            if where == "option":
                fail()
            return value

        @app.command("do")
        def do(as_json: bool = typer.Option(False, "--json"), value: str = typer.Option("", callback=option)) -> None:
            fail()

        return CliRunner().invoke(app, ["do", *arguments])

    run.log = tmp_path / "logs" / "program.log"
    return run


@pytest.mark.parametrize("where", ["command", "callback", "option"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError."),
        (deep, "RecursionError: maximum recursion depth exceeded"),
        (cyclic(), "OverflowError: date value out of range."),
        (ValueError(""), "ValueError."),
        (ValueError("\x1b[2Jgone\r\nlost\x07"), "ValueError: [2Jgone lost"),
        (ValueError("long " * 100_000), "…"),
        (Unprintable(), "Unprintable: <exception str() failed>"),
        (OSError(errno.ENOSPC, "No space left on device", "/data"), "No space left on device: '/data'"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_an_unforeseen_error_is_one_sentence_and_a_log(program, where, error, told):
    result = program(error, where=where)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: Unexpected error: ")
    assert told in line
    assert len(line) < LONGEST + 300
    assert line.endswith(f"The traceback is in {program.log}.")
    assert "Traceback (most recent call last)" in program.log.read_text()


def test_verbose_shows_the_traceback_above_the_sentence_wherever_it_stands(program):
    for arguments in (["--verbose"], ["--value", "x", "--verbose"]):
        lines = program(cyclic(), *arguments).stderr.splitlines()
        assert "Traceback (most recent call last):" in lines
        assert lines[-1].startswith("Error: Unexpected error: OverflowError")
    lines = program(SpecError("rounds: too few"), "--verbose").stderr.splitlines()
    assert "Traceback (most recent call last):" in lines
    assert lines[-1] == "Error: rounds: too few"


def test_a_foreseen_error_has_no_log_and_keeps_its_lines(program):
    result = program(SpecError("a: bad\nb: worse \x1b[31m"))
    assert (result.exit_code, result.stderr) == (1, "Error: a: bad\nb: worse [31m\n")
    assert not program.log.exists()


def test_a_script_reads_the_error_as_json(program):
    result = program(KeyError("x"), "--json")
    assert json.loads(result.stdout) == {
        "error": f"Unexpected error: KeyError: 'x'. The traceback is in {program.log}.",
        "log": str(program.log),
    }
    assert result.exit_code == 1
    assert json.loads(program(AtlasError("No."), "--json").stdout) == {"error": "No.", "log": None}


def test_an_interrupt_ends_with_130_and_says_so(program):
    result = program(KeyboardInterrupt(), "--json")
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")
    assert json.loads(result.stdout) == {"error": "Stopped.", "log": None}


def test_a_log_that_cannot_be_written_is_replaced_by_one_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("in the way")
    found = record_unexpected(KeyError("x"), tmp_path / "file" / "atlas.log")
    assert found.log == tmp_path / "atlas-errors.log"
    assert "KeyError" in found.log.read_text()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert record_unexpected(KeyError("x"), tmp_path / "file" / "atlas.log").log is None


PROGRAM = """
import typer
from pathlib import Path
from atlas.terminal.commands import CommandGroup

class Group(CommandGroup):
    def log(self): return Path(__file__).with_name("log")

app = typer.Typer(cls=Group)

@app.callback()
def main(): pass

@app.command()
def many():
    for number in range(100_000): typer.echo(number)

@app.command()
def fails():
    input()
    raise KeyError("x")

app()
"""


@pytest.fixture
def process(tmp_path):
    """Start a program with the commands `many` and `fails` in a process of its own."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)

    def start(command: str) -> subprocess.Popen[bytes]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen([sys.executable, script, command], env=environment, **pipes)

    return start


def test_a_reader_of_stdout_that_goes_away_ends_the_command_quietly(process):
    with process("many") as writer:
        assert writer.stdout.readline() == b"0\n"
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 1


def test_an_error_that_nobody_reads_is_in_the_log_and_the_exit_code(process, tmp_path):
    with process("fails") as failing:
        failing.stderr.close()
        failing.stdin.write(b"go on\n")
    assert failing.returncode == 1
    assert "KeyError" in (tmp_path / "log").read_text()


@given(st.text(), st.integers(min_value=20, max_value=500))
def test_one_line_is_one_printable_line_within_its_length(text, longest):
    line = one_line(text, longest)
    assert len(line) <= longest
    assert line.isprintable()
    assert one_line(line, longest) == line


@given(st.text())
def test_a_description_begins_with_the_type_and_is_one_line(text):
    line = describe_error(ValueError(text))
    assert line.split(":")[0] == "ValueError"
    assert line.isprintable()
