"""The inputs of a round's aggregation: files on disk and settings."""

from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.settings import AggregationSpec


@dataclass(frozen=True)
class Update:
    """One update of a round."""

    shard: str
    path: Path
    weight: int
    """Rows of the shard, from its manifest."""


@dataclass(frozen=True)
class RoundInputs:
    """All inputs that determine a round's checkpoint."""

    settings: AggregationSpec
    """The robust rule must not be `auto`."""
    round: int
    seed: str
    scaling: float
    """alpha / rank."""
    base: Path
    """The whole adapter that the round started from."""
    updates: tuple[Update, ...]
    """In shard order. A round that freezes a factor has updates without it."""
    optimizer: Path | None = None
    """The outer optimizer's state after the previous round; None in its first round."""
    reference: Path | None = None
    """The update that the coordinator trained on its reference rows, for fltrust."""
