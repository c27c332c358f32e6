"""Show a running round: a live table on a terminal, a few plain lines elsewhere."""

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from assets.fleet_run.progress import RoundProgress
from atlas.spec.job import TaskSpec
from atlas.unexpected import one_line
from atlas_pipelines.cli.run.board import Line, advance, conclude, describe, draw, label_of
from node_agent.tasks.progress_messages import warning_of
from resources.dispatch.events import name_of
from resources.dispatch.outcomes import NOTABLE, TaskOutcome, TaskUpdate

REFRESHES_PER_SECOND = 4.0
WARNINGS = 5
"""The most warnings shown for one task in one round; the task's log on the node has all of them."""
PASSING_SECONDS = 30.0
"""Seconds between two lines about the same progress, if the output is not a terminal."""


class Watching(RoundProgress):
    """A board for the rounds of one job, with lines about events. Use it as a context manager."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._passing = ""
        self._passed_at: float | None = None
        self._title = ""
        self._lines: dict[str, Line] = {}
        self._warned: dict[str, set[str]] = {}
        self._live = (
            Live(console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True, get_renderable=self._draw)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, title: str) -> None:
        """Clear the board for the next round; the lines of the last round stay above it on the terminal."""
        self.end()
        self._title = title
        self._console.print(Text(title, style="bold"))

    def end(self) -> None:
        """Print the board as it stands and clear it."""
        ended, self._lines = self._lines, {}
        self._warned = {}
        if self._live is not None and ended:
            self._live.refresh()
            self._console.print(draw("", ended))

    def note(self, text: str) -> None:
        """Print one line."""
        self._passing, self._passed_at = "", None
        self._console.print(Text(text))

    def passing(self, text: str) -> None:
        """Show a line that the next one replaces. If the output is not a terminal, print a line every 30 s instead."""
        self._passing = text
        if self._live is not None:
            return
        now = self._clock()
        if self._passed_at is None:
            self._passed_at = now
        elif now - self._passed_at >= PASSING_SECONDS:
            self._passed_at = now
            self._console.print(Text(text))

    def task(self, update: TaskUpdate) -> None:
        """Update one line of the board; print notable events and the trainer's warnings."""
        label = label_of(update.task)
        before = self._lines.get(label, Line(label))
        after = advance(before, update)
        if update.event in NOTABLE:
            self._lines[label] = after
            self._console.print(Text(f"  {update.text}"))
        else:
            self._show(before, after)
        if update.message is not None and (text := warning_of(update.message)) is not None:
            self._warn(update.task, text)

    def _warn(self, task: TaskSpec, text: str) -> None:
        """Print a trainer's warning once, and at most `WARNINGS` different ones per task."""
        said = self._warned.setdefault(label_of(task), set())
        line = f"{name_of(task)}: Warning: {one_line(text)}"
        if line not in said and len(said) < WARNINGS:
            said.add(line)
            self._console.print(Text(f"  {line}"))

    def ended(self, outcome: TaskOutcome) -> None:
        """Show the outcome of a task in its line of the board."""
        label = label_of(outcome.task)
        before = self._lines.get(label, Line(label))
        self._show(before, conclude(before, outcome))

    def _show(self, before: Line, after: Line) -> None:
        self._lines[after.label] = after
        if self._live is None and is_worth_a_line(before, after):
            self._console.print(Text(f"  {describe(after)}"))

    def _draw(self) -> RenderableType:
        """Called by the thread that redraws the terminal, at a fixed rate that does not depend on the messages."""
        lines = dict(self._lines)
        board = [draw(self._title, lines)] if lines else []
        return Group(*board, *([Text(self._passing)] if self._passing else []))


def is_worth_a_line(before: Line, after: Line) -> bool:
    """Whether a log should get a line: at assignment, at half of the steps, and at other changes of state."""
    if (before.node, before.attempt) != (after.node, after.attempt):
        return True
    if before.state != after.state:
        return after.state not in ("pending", "in progress")
    return bool(after.steps) and before.step < after.steps / 2 <= after.step < after.steps
