"""The interface of outer optimizers: an elementwise step from a round's base towards, or past, its aggregate."""

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
    """The default if the spec has none."""
    state: Mapping[str, Callable[[OuterSpec], float]]
    """The kinds of state per number, each with its initial value."""
    step: Callable[[Numbers, Numbers, Mapping[str, Numbers], float, OuterSpec], tuple[Numbers, dict[str, Numbers]]]
    """(base, combined, state, learning rate, spec) -> (new base, new state); elementwise."""
