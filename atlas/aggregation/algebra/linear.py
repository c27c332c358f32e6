"""base + Σ cᵢ·(updateᵢ - base), elementwise: the mean, and every rule that yields coefficients."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.adapter_files import AdapterFile, Columns, new_adapter
from atlas.aggregation.files.fitting import fitting_files
from atlas.errors import AggregationError

BLOCK = 2**18
"""Columns that are read at a time; smaller reads, each with an open of the file, are slower."""

PART = 2**16
"""Columns of a block that are added up at a time: their float64 terms stay in a core's cache."""


def combine_linear(base: Path, updates: Sequence[Path], coefficients: Sequence[float], out: Path) -> None:
    """Write base + Σ cᵢ·(updateᵢ - base), summed in float64 in the given order and rounded once to float32.

    Tensors of the base that the updates lack are copied. Each number depends only on its own column, so the bytes do
    not depend on threads or block sizes. Memory use does not depend on the number of updates. Raises `AggregationError`
    when the files do not fit together or the result is not finite; the message names the file and tensor.
    """
    start = AdapterFile(base)
    files = fitting_files(start, updates)
    names = list(files[0].tensors) if files else []
    shares = [(start, share_of_base(coefficients)), *zip(files, coefficients, strict=True)]
    terms = [(file.columns(names), share) for file, share in shares if share != 0]
    others = start.tensors.keys() - set(names)
    with new_adapter(out, {name: tensor.shape for name, tensor in start.tensors.items()}) as result:
        copy_columns(start.columns(others), result.columns(others))
        _write_sum(terms, result.columns(names))


def copy_columns(source: Columns, target: Columns) -> None:
    """Copy one file's columns to another's; raises `AggregationError` when they are not finite."""
    _write_sum([(source, 1.0)], target)


def share_of_base(coefficients: Sequence[float]) -> float:
    """1 - Σ cᵢ, or 0 if that is only rounding error of the coefficients."""
    share = 1.0 - math.fsum(coefficients)
    return 0.0 if abs(share) <= len(coefficients) * 2.0**-52 else share


def _write_sum(terms: Sequence[tuple[Columns, float]], target: Columns) -> None:
    values, term, total = np.empty(BLOCK, np.float32), np.empty(PART), np.empty(BLOCK)
    for first in range(0, target.size, BLOCK):
        width = min(BLOCK, target.size - first)
        _add_up(terms, first, values[:width], term, total[:width])
        if not np.isfinite(values[:width]).all():
            raise AggregationError(_culprit(terms, first, width))
        target.write(first, values[:width])


def _add_up(
    terms: Sequence[tuple[Columns, float]],
    first: int,
    values: NDArray[np.float32],
    term: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Write the sum of the terms over the columns from `first` on to `values`; `term` and `total` are scratch space."""
    total.fill(-0.0)  # adding -0 preserves every number, even another -0
    with np.errstate(over="ignore", invalid="ignore"):  # the caller reports non-finite values
        for columns, share in terms:
            columns.read(first, values)
            for start in range(0, len(values), PART):
                sums = total[start : start + PART]
                part = term[: len(sums)]
                np.copyto(part, values[start : start + PART])  # faster than a multiplication that casts
                np.multiply(part, share, out=part)
                np.add(sums, part, out=sums)
        np.copyto(values, total, casting="same_kind")


def _culprit(terms: Sequence[tuple[Columns, float]], first: int, width: int) -> str:
    """The error message for a block with a non-finite result."""
    for columns, _ in terms:
        column = columns.first_not_finite(first, width)
        if column is not None:
            return f"{columns.path.name}: {columns.name_at(column)} holds NaN or infinity; updates must be finite."
    return f"The sum of the updates exceeds float32 in or after {terms[0][0].name_at(first)}."
