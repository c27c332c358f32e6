"""Files of factors to merge into the base model's weights."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.adapter_files import new_adapter
from atlas.aggregation.strategies.fit import Module
from atlas.aggregation.strategies.terms import write_tensor


class Product(NamedTuple):
    """B·diag(shares)·A."""

    shares: NDArray[np.float64]
    b: NDArray[np.floating]
    a: NDArray[np.floating]


def write_merged(
    path: Path, modules: Sequence[tuple[Module, int]], products: Callable[[Module], Iterator[Product]], scaling: float
) -> None:
    """Write factors per module whose product is scaling·Σ B·diag(shares)·A; `modules` gives their sums of ranks.

    The products' factors are concatenated, so each number is rounded once. Holds one module in memory at a time.
    """
    shapes = {}
    for module, rank in modules:
        shapes[module.a], shapes[module.b] = (rank, module.in_), (module.out, rank)
    with new_adapter(path, shapes) as result:
        for module, rank in modules:
            a, b = np.empty((rank, module.in_), np.float32), np.empty((module.out, rank), np.float32)
            row = 0
            for product in products(module):
                rows = slice(row, row + len(product.a))
                a[rows] = product.a
                with np.errstate(over="ignore"):  # values beyond float32 become infinite, which is refused below
                    b[:, rows] = product.b * (product.shares * scaling)
                row = rows.stop
            write_tensor(result, module.a, a)
            write_tensor(result, module.b, b)
