"""The relative error of merged adapters against the mean of the updates, ‖ΔW - ΔW*‖/‖ΔW*‖, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
from common import answer, read_tensors, update_path, weight_of


def product(tensors: dict[str, np.ndarray], module: str) -> np.ndarray:
    """B·A of a module."""
    return tensors[f"{module}.lora_B.weight"].astype(np.float64) @ tensors[f"{module}.lora_A.weight"].astype(np.float64)


def work(folder: str, updates: int, results: dict[str, str], scaling: float = 2.0, rank: int = 16) -> dict[str, Any]:
    """The relative error of each result, with the scaling in B, and the least possible error at this rank."""
    weights = np.array([weight_of(number) for number in range(updates)], np.float64)
    weights /= weights.sum()
    found = {side: read_tensors(Path(path)) for side, path in results.items()}
    first = read_tensors(update_path(folder, 0))
    modules = sorted({name.rpartition(".lora_")[0] for name in first})
    squares = dict.fromkeys([*found, "least possible", "whole"], 0.0)
    for module in modules:
        exact = scaling * sum(
            weight * product(read_tensors(update_path(folder, number)), module) for number, weight in enumerate(weights)
        )
        squares["whole"] += float(np.square(exact).sum())
        lost = np.linalg.svd(_core(folder, updates, weights, module), compute_uv=False)[rank:]
        squares["least possible"] += scaling**2 * float(np.square(lost).sum())
        for side, tensors in found.items():
            squares[side] += float(np.square(product(tensors, module) - exact).sum())
    whole = squares.pop("whole")
    return {side: float(np.sqrt(square / whole)) for side, square in squares.items()}


def _core(folder: str, updates: int, weights: np.ndarray, module: str) -> np.ndarray:
    """A small matrix with the singular values of Σ wᵢBᵢAᵢ: R of [wᵢBᵢ] times R of [Aᵢᵀ], transposed."""
    files = [read_tensors(update_path(folder, number)) for number in range(updates)]
    factors = [[file[f"{module}.lora_{factor}.weight"].astype(np.float64) for file in files] for factor in ("B", "A")]
    b = np.hstack([weight * one for weight, one in zip(weights, factors[0], strict=True)])
    a = np.vstack(factors[1]).T
    return np.linalg.qr(b, mode="r") @ np.linalg.qr(a, mode="r").T


if __name__ == "__main__":
    answer(work)
