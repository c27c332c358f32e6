"""How the commands `atlas` and `atlas-node` end: the last line says why, and the exit code agrees with it.

0: done. 1: an error, in one sentence. 2: not a command; its usage is shown. 130: stopped by Ctrl-C or SIGTERM.
"""

import json
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
from atlas.unexpected import UnexpectedError, printable, record_unexpected, traceback_text

FAILED, STOPPED = 1, 130
VERBOSE, JSON = "--verbose", "--json"

Verbose = Annotated[
    bool, typer.Option(VERBOSE, help="Show the traceback of an error. May stand anywhere in the command line.")
]
"""The option as the callback of a `CommandGroup` declares it for the help page; the group itself reads it."""


class Stopped(AtlasError):
    """A command was stopped by Ctrl-C or SIGTERM; its text says what to do next."""


class CommandGroup(DeferredGroup):
    """A program's commands. Any error in one, also in its callbacks and options, ends as `report` says."""

    def log(self) -> Path:
        """The file for tracebacks of errors that nobody foresaw."""
        raise NotImplementedError

    def main(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:
        """Run the command that `args` name, and exit."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            return super().main([one for one in given if one != VERBOSE], *others, **named)
        except Exception as error:
            try:
                report(error, self.log(), verbose=VERBOSE in given, as_json=JSON in given)
            except BrokenPipeError:  # nobody reads the output any more, and Python would flush it once more at its end
                for stream in (sys.stdout, sys.stderr):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            sys.exit(STOPPED if isinstance(error, Stopped) else FAILED)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; Ctrl-C is an end with a sentence of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stopped("Stopped.") from None


def report(error: BaseException, log: Path, *, verbose: bool, as_json: bool) -> None:
    """Say on stderr why a command failed: one sentence, above it the traceback when `verbose`.

    An error that is no `AtlasError` has its traceback appended to `log`. With `as_json`, stdout gets
    `{"error": "…", "log": "…" or null}` and the error's facts in the place of a result.
    """
    if verbose:
        typer.echo(printable(traceback_text(error)), err=True)
    told = error if isinstance(error, AtlasError) else record_unexpected(error, log)
    sentence = printable(str(told))
    label = "" if isinstance(told, Stopped) else "Error: "
    shown = wrap_words(Text(label + sentence), WordConsole(stderr=True).width).plain.removeprefix(label)
    if as_json:
        found = told.log if isinstance(told, UnexpectedError) else None
        typer.echo(json.dumps({**told.facts, "error": sentence, "log": None if found is None else str(found)}))
    typer.echo((typer.style(label, fg=typer.colors.RED, bold=True) if label else "") + shown, err=True)
