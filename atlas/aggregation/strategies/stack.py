"""FLoRA (Wang et al., arXiv:2409.05976): merges the exact mean of the products into the base model, as stacked factors.

With ΔW* = scaling·(Σ cᵢ·Bᵢ·Aᵢ + (1 - Σ cᵢ)·B₀·A₀), the merged factors are the Aᵢ stacked vertically and the
scaling·cᵢ·Bᵢ stacked horizontally. The next adapter is new, with one factor drawn and the other zero, so that its
product is zero.
"""

from collections.abc import Iterator
from pathlib import Path

from atlas.aggregation.files.adapter_files import new_adapter
from atlas.aggregation.strategies.fit import Module
from atlas.aggregation.strategies.fresh import fresh_factors
from atlas.aggregation.strategies.merged import Product, write_merged
from atlas.aggregation.strategies.strategy import Combination, Combined, Strategy
from atlas.aggregation.strategies.terms import RoundFiles, SharedUpdate, write_tensor


def combine(combination: Combination, folder: Path) -> Combined:
    """Write a new adapter and the merged factors; raises `AggregationError` when files do not fit."""
    files = RoundFiles(combination, mixed_ranks=True)
    adapter, merged = folder / "adapter.safetensors", folder / "merged.safetensors"
    with new_adapter(adapter, files.shapes) as result:
        files.write_means(result)
        for module in files.modules:
            a, b = fresh_factors(combination.seed, module)
            write_tensor(result, module.a, a)
            write_tensor(result, module.b, b)
    sources = {module: _that_count(files, module) for module in files.modules}
    ranks = [(module, sum(source.rank(module) for source in sources[module])) for module in files.modules]

    def products(module: Module) -> Iterator[Product]:
        return (Product(source.shares(module), source.b(module), source.a(module)) for source in sources[module])

    write_merged(merged, ranks, products, combination.scaling)
    return Combined(adapter, merged)


def _that_count(files: RoundFiles, module: Module) -> list[SharedUpdate]:
    """The sources of a module, without the base if its B is zero, as after a round of this strategy."""
    updates = [source for source in files.sources if source.file is not files.base]
    base = [source for source in files.sources if source.file is files.base]
    return files.sources if not updates or any(source.b(module).any() for source in base) else updates


STACK = Strategy(
    name="stack",
    summary="exact mean of the products, added to the base model's weights; then a new adapter (FLoRA)",
    combine=combine,
    mixed_ranks=True,
)
