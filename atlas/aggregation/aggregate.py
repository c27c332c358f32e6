"""Aggregate a round's files into the files of its checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.coefficients import coefficients_of
from atlas.aggregation.columns import reduce_columns
from atlas.aggregation.inputs import RoundInputs
from atlas.aggregation.outer.apply import apply_outer
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.strategies.strategy import Combination, Combined


@dataclass(frozen=True)
class Aggregated:
    """The files of a round's checkpoint."""

    adapter: Path
    merged: Path | None
    optimizer: Path | None


def aggregate_files(inputs: RoundInputs, folder: Path) -> Aggregated:
    """Write the files of a round's checkpoint into `folder`; equal inputs give equal bytes on any number of threads.

    Raises `AggregationError` when the files do not fit together.
    """
    combined = _combine(inputs, folder)
    if inputs.settings.outer.optimizer == "none":
        return Aggregated(combined.adapter, combined.merged, None)
    frozen = inputs.settings.method.frozen_factor(inputs.round)
    outer = inputs.settings.outer
    adapter, state = apply_outer(outer, inputs.base, combined.adapter, inputs.optimizer, folder, frozen)
    return Aggregated(adapter, combined.merged, state)


def _combine(inputs: RoundInputs, folder: Path) -> Combined:
    rule = RULES.get(inputs.settings.robust.rule)
    if rule is not None and rule.columns is not None:
        return Combined(reduce_columns(inputs, rule, folder))
    combination = Combination(
        base=inputs.base,
        updates=tuple(update.path for update in inputs.updates),
        coefficients=tuple(coefficients_of(inputs)),
        scaling=inputs.scaling,
        seed=inputs.seed,
    )
    return inputs.settings.method.combine(combination, folder)
