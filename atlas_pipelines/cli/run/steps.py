"""Timed lines about the steps of a command's start."""

import time

from rich.console import Console


class Steps:
    """Prints each step with the seconds since this object was created."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print one step."""
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {text}")
