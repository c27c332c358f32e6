"""The interface of robust rules: coefficients from the updates' geometry, or one value for each column."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.robust.settings import RobustSpec


@dataclass(frozen=True)
class Geometry:
    """The inner products of a round's changes δᵢ = updateᵢ - base. Rules use no other information about them."""

    weights: NDArray[np.float64]
    """(N,), not negative, with a sum of one: the shares of the rows."""
    gram: NDArray[np.float64]
    """(N, N): ⟨δᵢ, δⱼ⟩."""
    reference: NDArray[np.float64] | None = None
    """(N,): ⟨δᵢ, δ₀⟩ with the change δ₀ from training on the trusted reference rows; None without reference rows."""
    reference_square: float = 0.0
    """⟨δ₀, δ₀⟩."""


@dataclass(frozen=True)
class Rule:
    """One robust rule. It has exactly one of the two functions."""

    name: str
    summary: str
    coefficients: Callable[[Geometry, RobustSpec], NDArray[np.float64]] | None = None
    """(N,) coefficients of the changes. No BLAS inside: its sums depend on the machine."""
    columns: Callable[[NDArray[np.float32], RobustSpec], NDArray[np.float64]] | None = None
    """(N, width) values of the updates -> (width,) result, each column by itself; for flat strategies only."""
    needs_reference: bool = False
