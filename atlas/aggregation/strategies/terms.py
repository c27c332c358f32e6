"""A round's files as sums of products: for each module Σ cᵢ·Bᵢ·Aᵢ + (1 - Σ cᵢ)·B₀·A₀.

An update of a lower rank was trained from the base's first directions and keeps the base's other directions. So each
direction of the base has a separate share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.algebra.linear import share_of_base
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.fitting import fitting_files
from atlas.aggregation.strategies.fit import Module, check_update, modules_of
from atlas.aggregation.strategies.strategy import Combination
from atlas.errors import AggregationError


@dataclass(frozen=True)
class SharedUpdate:
    """An update, or the base, with its share of the result."""

    file: AdapterFile
    share: float
    untrained: tuple[tuple["SharedUpdate", float], ...] = ()
    """For the base: the updates that may lack some of its directions, and their shares."""

    def rank(self, module: Module) -> int:
        """The module's rank in this file."""
        return self.file.tensors[module.a].shape[0]

    def shares(self, module: Module) -> NDArray[np.float64]:
        """(rank,): the share of each direction."""
        shares = np.full(self.rank(module), self.share)
        for update, share in self.untrained:
            shares[update.rank(module) :] += share
        return shares

    def a(self, module: Module) -> NDArray[np.float32]:
        """The module's A (rank x in); raises `AggregationError` unless it is finite."""
        return _finite(self.file, module.a)

    def b(self, module: Module) -> NDArray[np.float32]:
        """The module's B (out x rank); raises `AggregationError` unless it is finite."""
        return _finite(self.file, module.b)


class RoundFiles:
    """The base and the updates of a round, with their headers checked against each other."""

    def __init__(self, combination: Combination, *, mixed_ranks: bool) -> None:
        """Raises `AggregationError` unless every update has the base's tensors, with factors at ranks up to the base's.
        Without `mixed_ranks` the ranks must be equal to the base's.
        """
        self.base = AdapterFile(combination.base)
        updates = fitting_files(self.base, combination.updates, mixed_ranks=mixed_ranks)
        self.modules = modules_of(self.base)
        for update in updates:
            check_update(update, self.base, self.modules)
        self.sources = _sources(self.base, updates, combination.coefficients)
        """All files with a share, in shard order, with the base last; never empty."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the base's tensors, which the result also has."""
        return {name: tensor.shape for name, tensor in self.base.tensors.items()}

    def write_means(self, result: AdapterFile) -> None:
        """Write the mean of each ordinary tensor, summed in float64; raises `AggregationError` unless it is finite."""
        for name in self.base.ordinary:
            total = np.zeros(self.base.tensors[name].shape)
            for source in self.sources:
                total += _finite(source.file, name) * np.float64(source.share)
            write_tensor(result, name, total)


def write_tensor(result: AdapterFile, name: str, values: NDArray[np.floating]) -> None:
    """Round a tensor to float32 and write it; raises `AggregationError` when a value exceeds float32."""
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, which is reported below
        rounded = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(rounded).all():
        raise AggregationError(f"The aggregate of {name} exceeds float32; refuse the updates with very large values.")
    result.columns([name]).write(0, rounded.reshape(-1))


def _sources(base: AdapterFile, updates: Sequence[AdapterFile], coefficients: Sequence[float]) -> list[SharedUpdate]:
    sources = [SharedUpdate(file, share) for file, share in zip(updates, coefficients, strict=True) if share != 0]
    rest = share_of_base(coefficients)
    lower = tuple((source, source.share) for source in sources if _has_lower_rank(source.file, base))
    return [*sources, SharedUpdate(base, rest, lower)] if rest or lower or not sources else sources


def _has_lower_rank(update: AdapterFile, base: AdapterFile) -> bool:
    return any(tensor.shape != base.tensors[name].shape for name, tensor in update.tensors.items())


def _finite(file: AdapterFile, name: str) -> NDArray[np.float32]:
    values = file.read(name)
    if not np.isfinite(values).all():
        raise AggregationError(f"{file.path.name}: {name} holds NaN or infinity; refuse this update.")
    return values
