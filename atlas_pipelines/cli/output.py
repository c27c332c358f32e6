"""Where the commands write: results to stdout, everything else to stderr."""

import json
import os
import sys
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from atlas.errors import AtlasError
from atlas.terminal.console import WordConsole
from atlas.terminal.deferred import DeferredGroup


def notes_console() -> WordConsole:
    """A console on stderr that goes on reaching the terminal while Dagster captures this process's output."""
    return WordConsole(os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1))


def results_console() -> WordConsole:
    """A console on stdout."""
    return WordConsole()


def print_json(value: Any) -> None:
    """Print exactly one JSON value on stdout."""
    typer.echo(json.dumps(value, indent=2))


class CleanErrors(DeferredGroup):
    """A group of commands that tells of an `AtlasError` in words, without a traceback, and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except AtlasError as error:
            console = Console(stderr=True, highlight=False, soft_wrap=True)
            console.print(Text.assemble(("Error: ", "bold red"), str(error)))
            raise typer.Exit(1) from error
