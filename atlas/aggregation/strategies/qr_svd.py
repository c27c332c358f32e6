"""The best rank-r adapter for the exact mean of the products, computed without forming a product.

FlexLoRA (Bai et al., arXiv:2402.11505) uses the SVD of the dense mean; FLoRIST (arXiv:2506.09199) that of the stacked
factors, as here. The scaling is the same before and after, so it is omitted. See
docs/decisions/qr-svd-bytes-depend-on-the-numeric-class.md for what its bytes depend on.
"""

from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from atlas.aggregation.files.adapter_files import new_adapter
from atlas.aggregation.strategies.fit import Module
from atlas.aggregation.strategies.fresh import fresh_factors
from atlas.aggregation.strategies.low_rank import Directions, Matrix, ProductSum
from atlas.aggregation.strategies.strategy import Combination, Combined, Strategy
from atlas.aggregation.strategies.terms import RoundFiles, write_tensor

STACKED_RANK = 512
"""Beyond this rank, or four times the adapter's rank if that is more, stacked factors are recompressed to half of it,
so that the cost grows linearly with the number of updates instead of with its cube."""


def combine(combination: Combination, folder: Path) -> Combined:
    """Write the adapter whose product is nearest to the mean's; raises `AggregationError` when files do not fit."""
    files = RoundFiles(combination, mixed_ranks=True)
    adapter = folder / "adapter.safetensors"
    # One thread, because the order of sums in BLAS depends on the number of threads.
    with new_adapter(adapter, files.shapes) as result, threadpool_limits(limits=1, user_api="blas"):
        files.write_means(result)
        for module in files.modules:
            a, b = _factors(_sum(files, module).best(module.rank), module, combination.seed)
            write_tensor(result, module.a, a)
            write_tensor(result, module.b, b)
    return Combined(adapter)


def _sum(files: RoundFiles, module: Module) -> ProductSum:
    stacked = sum(source.rank(module) for source in files.sources)
    found = ProductSum(module.out, module.in_, min(stacked, max(STACKED_RANK, 4 * module.rank)))
    for source in files.sources:
        found.add(source.shares(module), source.b(module), source.a(module))
    return found


def _factors(best: Directions, module: Module, seed: str) -> tuple[Matrix, Matrix]:
    """A and B, each scaled by the square root of every direction's singular value.

    A direction with both factors zero would never be trained, so missing directions are initialized as in a new
    adapter: one factor drawn, the other zero.
    """
    found, roots = len(best.values), np.sqrt(best.values)
    a, b = (factor.astype(np.float64) for factor in fresh_factors(seed, module))
    a[:found] = best.right * roots[:, None]
    b[:, :found] = best.left * roots
    return a, b


QR_SVD = Strategy(
    name="qr-svd",
    summary="best adapter of the same rank for the exact mean of the products (FlexLoRA without its dense SVD)",
    combine=combine,
    mixed_ranks=True,
    portable=False,
)
