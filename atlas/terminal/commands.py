"""Error reports and exit codes of the commands `atlas` and `atlas-node`.

0: success. 1: an error, reported in one sentence. 2: invalid usage; the usage is shown. 130: stopped by Ctrl-C or
SIGTERM.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from atlas.errors import AtlasError
from atlas.terminal.console import WordConsole, wrap_words
from atlas.terminal.deferred import DeferredGroup
from atlas.terminal.json_output import print_json
from atlas.unexpected import UnexpectedError, printable, record_unexpected, traceback_text

FAILED, STOPPED = 1, 130
VERBOSE, JSON = "--verbose", "--json"

Verbose = Annotated[
    bool, typer.Option(VERBOSE, help="Show the traceback of an error. Can be given anywhere in the command line.")
]
"""The option as the callback of a `CommandGroup` declares it for the help page; the group itself reads it."""


class CommandStopped(AtlasError):
    """A command was stopped by Ctrl-C or SIGTERM; its text names the next step."""


class CommandGroup(DeferredGroup):
    """A program's commands. Any error in a command, its callbacks or its options is handled by `report`."""

    def log(self) -> Path:
        """The log file for tracebacks of unexpected errors."""
        raise NotImplementedError

    def main(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:
        """Run the command that `args` name, and exit."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            return super().main([one for one in given if one != VERBOSE], *others, **named)
        except Exception as error:
            try:
                report(error, self.log(), verbose=VERBOSE in given, as_json=JSON in given)
            except BrokenPipeError:  # the reader closed the pipe, and Python would flush the streams again at exit
                for stream in (sys.stdout, sys.stderr):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            sys.exit(STOPPED if isinstance(error, CommandStopped) else FAILED)

    def invoke(self, ctx: Any) -> Any:
        """Run the requested command; Ctrl-C raises `CommandStopped`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise CommandStopped("Stopped.") from None


def report(error: BaseException, log: Path, *, verbose: bool, as_json: bool) -> None:
    """Print on stderr why a command failed, in one sentence; with `verbose`, the traceback comes first.

    The traceback of an error that is not an `AtlasError` is appended to `log`. With `as_json`, stdout gets `{"error":
    "…", "log": "…" or null}` and the error's facts instead of a result.
    """
    if verbose:
        typer.echo(printable(traceback_text(error)), err=True)
    told = error if isinstance(error, AtlasError) else record_unexpected(error, log)
    sentence = printable(str(told))
    label = "" if isinstance(told, CommandStopped) else "Error: "
    shown = wrap_words(Text(label + sentence), WordConsole(stderr=True).width).plain.removeprefix(label)
    if as_json:
        found = told.log if isinstance(told, UnexpectedError) else None
        print_json({**told.facts, "error": sentence, "log": None if found is None else str(found)}, one_line=True)
    typer.echo((typer.style(label, fg=typer.colors.RED, bold=True) if label else "") + shown, err=True)
