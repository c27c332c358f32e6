"""Inner products of the updates' changes of the model, s·(BᵢAᵢ - B₀A₀), without forming these matrices.

With Dᵢ = Bᵢ - B₀ and Eᵢ = Aᵢ - A₀ a change is DᵢAᵢ + B₀Eᵢ, and ⟨XY, VW⟩ = Σₐᵦ (XᵀV)ₐᵦ (YWᵀ)ₐᵦ: the products of
small factors are enough. Taking differences of factors, not of products, keeps small changes precise beside a large
base.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.algebra.gram import add_gram, gram_of_columns, one_blas_thread
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import LoraModule, factor_of
from atlas.aggregation.files.fitting import fitting_files
from atlas.errors import AggregationError


def product_gram(base: Path, updates: Sequence[Path], extra: Path | None, scaling: float) -> NDArray[np.float64]:
    """⟨δᵢ, δⱼ⟩ of the changes of all updated modules' weights, and of ordinary tensors; `extra` comes last.

    Ranks may be mixed: an update with a lower rank or a missing factor is completed from the base. Needs memory for
    (updates · rank)² numbers per module. Raises `AggregationError` when the files do not fit together or one is not
    finite.
    """
    start = AdapterFile(base)
    files = fitting_files(start, [*updates, *([extra] if extra else [])], mixed_ranks=True)
    ordinary = files[0].ordinary
    gram = gram_of_columns(start.columns(ordinary), [file.columns(ordinary) for file in files])
    for module in files[0].modules:
        gram += scaling**2 * _module_gram(start, files, module)
    return gram


def _module_gram(base: AdapterFile, files: Sequence[AdapterFile], module: LoraModule) -> NDArray[np.float64]:
    a = _factor_gram(_base_and_changes(base, files, module.a))
    b = _factor_gram(_base_and_changes(base, files, module.b))
    total = np.zeros((len(files), len(files)))
    for row in range(len(a)):
        for column in range(len(a)):
            total += _term(a[row, :, column, :], b[row, :, column, :])
    return (total + total.T) / 2  # symmetric to the bit


def _term(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The contribution of one pair of ranks to ⟨DᵢAᵢ + B₀Eᵢ, DⱼAⱼ + B₀Eⱼ⟩, from the inner products of the factors' base
    (index 0) and changes. A is A₀ + E. Elementwise, so that every sum has a fixed order.
    """
    base_base, base_e, e_base, e_e = a[0, 0], a[:1, 1:], a[1:, :1], a[1:, 1:]
    a_e = base_e + e_e
    e_a = e_base + e_e
    a_a = (base_base + e_base) + a_e
    term: NDArray[np.float64] = (b[1:, 1:] * a_a + b[1:, :1] * a_e) + (b[:1, 1:] * e_a + b[0, 0] * e_e)
    return term


def _base_and_changes(base: AdapterFile, files: Sequence[AdapterFile], name: str) -> NDArray[np.float32]:
    """(rank, 1 + files, width): the base's factor, then the changes to it; zero where an update has a lower rank."""
    origin = _rank_first(base.read(name), name)
    rows = np.zeros((origin.shape[0], 1 + len(files), origin.shape[1]), np.float32)
    rows[:, 0] = origin
    for place, file in enumerate(files, start=1):
        if name not in file.tensors:
            continue
        factor = _rank_first(file.read(name), name)
        with np.errstate(over="ignore", invalid="ignore"):
            rows[: len(factor), place] = factor - origin[: len(factor)]
        if not np.isfinite(rows[:, place]).all():
            raise AggregationError(f"{file.path.name}: {name} holds NaN, infinity, or a change beyond float32.")
    return rows


def _rank_first(factor: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if factor.ndim != 2:
        raise AggregationError(f"{name} must be a matrix, found {list(factor.shape)}.")
    return factor if factor_of(name) == "A" else factor.T


def _factor_gram(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rank, files, rank, files): the inner products of all rows."""
    rank, files, width = rows.shape
    gram = np.zeros((rank * files, rank * files))
    with one_blas_thread():
        add_gram(gram, rows.reshape(rank * files, width))
    return gram.reshape(rank, files, rank, files)
