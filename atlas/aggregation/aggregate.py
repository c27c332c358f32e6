"""Aggregate a round's files into the files of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.coefficients import coefficients_of
from atlas.aggregation.columns import reduce_columns
from atlas.aggregation.inputs import RoundInputs
from atlas.aggregation.outer.apply import apply_outer
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Geometry
from atlas.aggregation.strategies.strategy import Combination, Combined


@dataclass(frozen=True)
class Aggregated:
    """The files of a round's checkpoint."""

    adapter: Path
    merged: Path | None
    optimizer: Path | None


def aggregate_files(inputs: RoundInputs, folder: Path, geometry: Geometry | None = None) -> Aggregated:
    """Write the files of a round's checkpoint into `folder`; equal inputs give equal bytes on any number of threads.

    `geometry` is that of the inputs; it is computed if it is needed and not given.
    Raises `AggregationError` when the files do not fit together.
    """
    combined = _combine(inputs, folder, geometry)
    if inputs.settings.outer.optimizer == "none":
        return Aggregated(combined.adapter, combined.merged, None)
    frozen = inputs.settings.method.frozen_factor(inputs.round)
    outer = inputs.settings.outer
    adapter, state = apply_outer(outer, inputs.base, combined.adapter, inputs.optimizer, folder, frozen)
    return Aggregated(adapter, combined.merged, state)


def _combine(inputs: RoundInputs, folder: Path, geometry: Geometry | None) -> Combined:
    if inputs.settings.by_columns:
        return Combined(reduce_columns(inputs, RULES[inputs.settings.robust.rule], folder))
    combination = Combination(
        base=inputs.base,
        updates=tuple(update.path for update in inputs.updates),
        coefficients=tuple(coefficients_of(inputs, geometry)),
        scaling=inputs.scaling,
        seed=inputs.seed,
    )
    return inputs.settings.method.combine(combination, folder)
