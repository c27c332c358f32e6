"""Output of the commands: results to stdout, everything else to stderr."""

import os
import sys
from io import UnsupportedOperation
from pathlib import Path

from atlas.home import AtlasHome
from atlas.terminal.commands import CommandGroup
from atlas.terminal.console import WordConsole


def notes_console() -> WordConsole:
    """A console on stderr that still writes to the terminal while Dagster captures this process's output."""
    try:
        descriptor = sys.stderr.fileno()
    except UnsupportedOperation:  # a program that embeds the command has replaced stderr
        return WordConsole(stderr=True)
    return WordConsole(os.fdopen(os.dup(descriptor), "w", buffering=1))


def results_console() -> WordConsole:
    """A console on stdout."""
    return WordConsole()


class AtlasCommands(CommandGroup):
    """The commands of `atlas`."""

    def log(self) -> Path:
        """The coordinator's log file."""
        return AtlasHome.from_environment().log
