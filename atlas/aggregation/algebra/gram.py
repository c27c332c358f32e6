"""Inner products of a round's changes: precise enough to distinguish near-copies, and bit-identical on every machine.

A change is cut into blocks of columns. In each block it is scaled by a power of two and rounded to integers of at most
21 bits. Products of such integers, summed over a block, fit the 53 bits of float64. So the matrix product is exact in
any order, with any number of threads and any instruction. The blocks are added in order.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from atlas.aggregation.files.adapter_files import AdapterFile, Columns
from atlas.aggregation.files.fitting import fitting_files
from atlas.errors import AggregationError

WIDTH = 2048
"""Columns of a block; part of the definition, since 2^21 · 2^21 · 2048 = 2^53."""
_BITS = 21
_BLOCKS, _BYTES = 16, 2**25
"""Blocks that are read at once, to save system calls, and their limit in bytes; not part of the definition."""


def flat_gram(base: Path, updates: Sequence[Path], extra: Path | None = None) -> NDArray[np.float64]:
    """⟨δᵢ, δⱼ⟩ of δᵢ = updateᵢ - base over the tensors of the updates; `extra` comes last.

    Raises `AggregationError` when the files do not fit together or one is not finite.
    """
    start = AdapterFile(base)
    files = fitting_files(start, [*updates, *([extra] if extra else [])])
    return gram_of_columns(start.columns(files[0].tensors), [file.columns() for file in files])


def gram_of_columns(origin: Columns, sources: Sequence[Columns]) -> NDArray[np.float64]:
    """The inner products of the sources' differences from the origin, computed in float32.

    Reads each source once; memory use does not depend on their length. Differences below 2^-126 count as zero. Raises
    `AggregationError` when a source is not finite.
    """
    gram = np.zeros((len(sources), len(sources)))
    step = WIDTH * max(1, min(_BLOCKS, _BYTES // (4 * WIDTH * len(sources))))
    rows, row = np.empty((len(sources), step), np.float32), np.empty(step, np.float32)
    with np.errstate(over="ignore", invalid="ignore"), one_blas_thread():  # non-finite values are reported below
        for first in range(0, origin.size, step):
            width = min(step, origin.size - first)
            origin.read(first, row[:width])
            for source, values in zip(sources, rows, strict=True):
                source.read(first, values[:width])
            np.subtract(rows[:, :width], row[:width], out=rows[:, :width])
            add_gram(gram, rows[:, :width])
    for source, square in zip(sources, np.diag(gram), strict=True):
        if not np.isfinite(square):
            raise AggregationError(_why_not_finite(source))
    return gram


def add_gram(gram: NDArray[np.float64], rows: NDArray[np.float32]) -> None:
    """Add the inner products of the rows to `gram`, block by block; the entries of a non-finite row become NaN."""
    scaled, whole = np.empty((len(rows), WIDTH), np.float32), np.empty((len(rows), WIDTH))
    for first in range(0, rows.shape[1], WIDTH):
        block = rows[:, first : first + WIDTH]
        width = block.shape[1]
        largest = np.maximum(block.max(axis=1), -block.min(axis=1))
        # |number| < 2^exponent; the bounds keep both powers within float32.
        bits = np.clip(_BITS - np.frexp(largest)[1], -126, 126)
        np.multiply(block, np.ldexp(np.float32(1), bits)[:, None], out=scaled[:, :width])
        np.rint(scaled[:, :width], out=scaled[:, :width])
        np.copyto(whole[:, :width], scaled[:, :width])
        products = whole[:, :width] @ whole[:, :width].T
        unit = np.where(np.isfinite(largest), np.ldexp(1.0, -bits), np.nan)
        products *= unit[:, None]
        products *= unit
        gram += products


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limit BLAS to one thread, which is faster for matrices of this size and does not change the result."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _why_not_finite(source: Columns) -> str:
    column = source.first_not_finite(0, source.size)
    if column is None:
        return f"{source.path.name} differs from the base by more than float32 can hold."
    return f"{source.path.name}: {source.name_at(column)} holds NaN or infinity; updates must be finite."
