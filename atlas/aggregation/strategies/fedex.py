"""FedEx-LoRA (Singhal et al., arXiv:2410.09432): the mean factors; the base model absorbs the error of their product.

The residual ΔW* - scaling·B̄·Ā is the covariance scaling·Σ cᵢ·(Bᵢ - B̄)·(Aᵢ - Ā), with the base as one more term of
coefficient 1 - Σ cᵢ. In this form, no large terms cancel, and equal updates give an exact zero.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from atlas.aggregation.algebra.linear import combine_linear
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.strategies.fit import Module
from atlas.aggregation.strategies.merged import Product, write_merged
from atlas.aggregation.strategies.strategy import Combination, Combined, Strategy
from atlas.aggregation.strategies.terms import RoundFiles, SharedUpdate


def combine(combination: Combination, folder: Path) -> Combined:
    """Write the mean adapter and the factors of its residual; raises `AggregationError` when files do not fit."""
    files = RoundFiles(combination, mixed_ranks=False)
    adapter, merged = folder / "adapter.safetensors", folder / "merged.safetensors"
    combine_linear(combination.base, combination.updates, combination.coefficients, adapter)
    mean = SharedUpdate(AdapterFile(adapter), 1.0)
    ranks = [(module, module.rank * len(files.sources)) for module in files.modules]

    def products(module: Module) -> Iterator[Product]:
        mean_b, mean_a = mean.b(module).astype(np.float64), mean.a(module).astype(np.float64)
        for source in files.sources:
            yield Product(source.shares(module), source.b(module) - mean_b, source.a(module) - mean_a)

    write_merged(merged, ranks, products, combination.scaling)
    return Combined(adapter, merged)


FEDEX = Strategy(
    name="fedex",
    summary="mean of A and of B, and the difference to the exact mean is added to the base model's weights: exact "
    "(FedEx-LoRA)",
    combine=combine,
)
