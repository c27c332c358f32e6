"""What an outer optimizer is: an elementwise step from a round's base past or short of the round's aggregate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.outer.settings import OuterSpec

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Optimizer:
    """One outer optimizer."""

    name: str
    summary: str
    """One line for help texts and tables."""
    learning_rate: float
    """Where the spec names none."""
    state: Mapping[str, Callable[[OuterSpec], float]]
    """What it keeps of every number, and the value that this starts from in the first round."""
    step: Callable[[Numbers, Numbers, Mapping[str, Numbers], float, OuterSpec], tuple[Numbers, dict[str, Numbers]]]
    """(base, combined, state, learning rate, spec) -> (what follows base, the new state); each number by itself."""
