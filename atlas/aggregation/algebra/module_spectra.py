"""Singular values per LoRA module: of the exact mean, and of the error when A and B are averaged separately.

With weights w that sum to one (the base has weight 1 - Σc), Σw·B·A - B̄·Ā = Σw(B-B̄)(A-Ā). In changes from the base, δA
= A - A₀ and δB = B - B₀, it is Σc·δB·δA - (Σc·δB)(Σc·δA): zero where a factor is shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlas.aggregation.algebra.low_rank import LowRankSum, Matrix
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import LoraModule


@dataclass(frozen=True)
class ModuleSpectra:
    """Singular values of one module, without the scaling."""

    exact: Matrix
    """Of Σw·B·A."""
    residual: Matrix
    """Of Σw(B-B̄)(A-Ā)."""


def module_spectra(base: Path, updates: Sequence[Path], coefficients: Sequence[float]) -> dict[str, ModuleSpectra]:
    """The spectra by module, one module in memory at a time."""
    start, files = AdapterFile(base), [AdapterFile(path) for path in updates]
    counted = [(file, share) for file, share in zip(files, coefficients, strict=True) if share != 0]
    return {module.name: _spectra(module, start, counted) for module in start.modules}


def _spectra(module: LoraModule, base: AdapterFile, updates: Sequence[tuple[AdapterFile, float]]) -> ModuleSpectra:
    first_a, first_b = (base.read(name).astype(np.float64) for name in (module.a, module.b))
    shape = first_b.shape[0], first_a.shape[1]
    exact, residual = LowRankSum(*shape), LowRankSum(*shape)
    mean_a, mean_b = np.zeros_like(first_a), np.zeros_like(first_b)
    for file, share in updates:
        a, b = _whole(file, module.a, first_a), _whole(file, module.b, first_b)
        exact.add(share * b, a)
        change_a, change_b = a - first_a, b - first_b
        mean_a += share * change_a
        mean_b += share * change_b
        if change_a.any() and change_b.any():
            residual.add(share * change_b, change_a)
    exact.add((1 - sum(share for _, share in updates)) * first_b, first_a)
    residual.add(-mean_b, mean_a)
    return ModuleSpectra(exact.singular_values(), residual.singular_values())


def _whole(file: AdapterFile, name: str, base: Matrix) -> Matrix:
    """An update's factor, completed from the base where the update has a lower rank or its round froze the factor."""
    whole = base.copy()
    if name in file.tensors:
        part = file.read(name)
        whole[: part.shape[0], : part.shape[1]] = part
    return whole
