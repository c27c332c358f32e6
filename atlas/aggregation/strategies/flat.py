"""The common part of elementwise strategies: base + Σ cᵢ·(updateᵢ - base)."""

from collections.abc import Sequence
from pathlib import Path

from atlas.aggregation.algebra.linear import combine_linear
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import Factor, role_of
from atlas.aggregation.strategies.strategy import Combination, Combined
from atlas.errors import AggregationError


def combine_flat(combination: Combination, folder: Path, frozen: Sequence[Factor | None]) -> Combined:
    """Write the mean of the trained tensors, and the base's other tensors unchanged.

    Raises `AggregationError` when files do not fit, or when an update does not hold exactly the base's tensors without
    one of the factors in `frozen`.
    """
    base = AdapterFile(combination.base).tensors.keys()
    allowed = [{name for name in base if factor is None or role_of(name) != factor} for factor in frozen]
    for update in combination.updates:
        found = AdapterFile(update).tensors.keys()
        if found not in allowed:
            rounds = " or ".join("all tensors" if factor is None else f"all but the {factor}s" for factor in frozen)
            wrong = min((sorted(found ^ names) for names in allowed), key=len)[0]
            raise AggregationError(
                f"{update.name} {'holds' if wrong in found else 'lacks'} {wrong}; expected {rounds} of the base. "
                "Train the shard again as the round's task says."
            )
    adapter = folder / "adapter.safetensors"
    combine_linear(combination.base, combination.updates, combination.coefficients, adapter)
    return Combined(adapter)
