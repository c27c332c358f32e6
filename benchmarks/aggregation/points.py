"""Measured points: each runs its sides one after the other, every run in a new process."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Side:
    """One implementation of a point's work: a driver in an environment, with its arguments."""

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
    """Arguments of `make_updates`, whose folder every side gets. Empty for points that make their own inputs."""
    repeats: int = 3
    """Runs of all sides, in turn; the result has the least CPU time and the largest peak memory."""
    judge: str = ""
    """A driver of this project that compares the files which the sides wrote."""
    minutes: float = 0.1
    """The approximate duration on one idle core."""
    quick: bool = False
    """Whether `--quick` runs it."""

    @property
    def key(self) -> str:
        """The point's key in results.json."""
        return f"{self.row}/{self.name}"

    def without_peers(self) -> "Point":
        """The same point with only this project's sides."""
        return replace(self, sides=tuple(side for side in self.sides if side.environment == "atlas"))
