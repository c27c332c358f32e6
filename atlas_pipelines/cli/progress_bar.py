"""A progress bar on stderr for long operations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int], None]
"""Takes the amount of work done since the last call."""


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Advance]:
    """Show how much of `total` is done, and clear the bar at the end. Shows nothing if stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=max(total, 1))
        yield lambda done: progress.advance(task, done)
