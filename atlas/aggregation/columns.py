"""Rules that work on one column of all updates at a time, such as the median; applied block by block."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.algebra.linear import copy_columns
from atlas.aggregation.coefficients import weights_of
from atlas.aggregation.files.adapter_files import AdapterFile, Columns, new_adapter
from atlas.aggregation.files.fitting import fitting_files
from atlas.aggregation.inputs import RoundInputs
from atlas.aggregation.robust.bucketing import buckets, settings_of_buckets
from atlas.aggregation.robust.rule import Rule
from atlas.aggregation.robust.weights import capped
from atlas.errors import AggregationError

BLOCK_BYTES = 8 * 2**20
"""Bytes of a block of all updates; the rules need about the same again."""
_NARROWEST, _WIDEST = 1024, 65536


def reduce_columns(inputs: RoundInputs, rule: Rule, folder: Path) -> Path:
    """Write the adapter that the rule computes column by column from the updates (or from the means of buckets).

    Tensors of the base that the updates lack are copied. Every zero is written as +0, because the order of -0 and +0
    depends on the machine. Raises `AggregationError` when the files do not fit together or one is not finite.
    """
    if rule.columns is None:
        raise AggregationError(f"The rule {rule.name} gives coefficients; it has no value for a single column.")
    spec = inputs.settings.robust
    weights = capped(weights_of(inputs.updates), spec)
    base = AdapterFile(inputs.base)
    files = fitting_files(base, [update.path for update in inputs.updates])
    groups = buckets([update.shard for update in inputs.updates], spec.bucket_size, inputs.seed)
    spec = settings_of_buckets(spec)
    names = list(files[0].tensors)
    others = base.tensors.keys() - set(names)
    out = folder / "adapter.safetensors"
    with new_adapter(out, {name: tensor.shape for name, tensor in base.tensors.items()}) as result:
        copy_columns(base.columns(others), result.columns(others))
        sources, target = [file.columns(names) for file in files], result.columns(names)
        width = min(max(BLOCK_BYTES // (4 * len(files)), _NARROWEST), _WIDEST)
        block = np.empty((len(files), width), np.float32)
        for first in range(0, target.size, width):
            values = block[:, : min(width, target.size - first)]
            _fill(values, sources, first)
            chosen = rule.columns(_means(values, groups, weights), spec) + 0.0  # -0 + 0 is 0
            target.write(first, chosen.astype(np.float32))
    return out


def _fill(values: NDArray[np.float32], sources: Sequence[Columns], first: int) -> None:
    for source, row in zip(sources, values, strict=True):
        source.read(first, row)
        if not np.isfinite(row).all():
            column = first + int(np.isfinite(row).argmin())
            raise AggregationError(
                f"{source.path.name}: {source.name_at(column)} holds NaN or infinity; updates must be finite."
            )


def _means(
    values: NDArray[np.float32], groups: Sequence[Sequence[int]], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The groups' weighted means, each added up in the group's order in float64."""
    if len(groups) == len(values):
        return values  # each update is its own group
    found = np.empty((len(groups), values.shape[1]), np.float32)
    for row, group in zip(found, groups, strict=True):
        total = sum(weights[member] for member in group)
        mean = np.zeros(values.shape[1])
        for member in group:
            mean += values[member] * np.float64(weights[member] / total)
        row[:] = mean
    return found
