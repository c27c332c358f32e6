"""What a command starts, as it starts it."""

import time

from rich.console import Console


class Steps:
    """Prints each step with the seconds since the first line could have been printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print one step."""
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {text}")
