"""What is measured: points, each of which runs its sides one after the other, every run in a fresh process."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Side:
    """One way to do a point's work: a driver in an environment, with its arguments."""

    name: str
    environment: str
    driver: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1


@dataclass(frozen=True)
class Point:
    """Sides that are compared on the same input files."""

    row: str
    name: str
    sides: tuple[Side, ...]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `make_updates`; its folder is handed to every side. Empty for points that make their own."""
    repeats: int = 3
    """Of all sides, in turn; the least CPU time counts, and the largest peak."""
    judge: str = ""
    """A driver of this project that compares the files which the sides wrote."""
    minutes: float = 0.1
    """About how long, on one idle core."""
    quick: bool = False
    """Whether `--quick` runs it."""

    @property
    def key(self) -> str:
        """Its name in results.json."""
        return f"{self.row}/{self.name}"

    def without_peers(self) -> "Point":
        """The same with this project's sides alone."""
        return replace(self, sides=tuple(side for side in self.sides if side.environment == "atlas"))
