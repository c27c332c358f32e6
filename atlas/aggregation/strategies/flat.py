"""The elementwise strategies fedavg, ffa and rolora: base + Σ cᵢ·(updateᵢ - base)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from atlas.aggregation.algebra.linear import combine_linear
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import Factor, role_of
from atlas.aggregation.strategies.strategy import Combination, Combined, Strategy
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


FEDAVG = Strategy(
    name="fedavg",
    summary="mean of A and of B separately (FedIT): simple, but not exactly the mean of the products",
    combine=partial(combine_flat, frozen=(None,)),
    flat=True,
)
"""FedIT: the separate means of A and B (McMahan et al., arXiv:1602.05629; Zhang et al., arXiv:2305.05644)."""
FFA = Strategy(
    name="ffa",
    summary="A stays frozen and B is averaged: exact, half the upload, fewer trained parameters (FFA-LoRA)",
    combine=partial(combine_flat, frozen=("A",)),
    flat=True,
    frozen=("A",),
)
"""FFA-LoRA: A keeps its initial values, so the mean of B is exact (Sun et al., arXiv:2403.12313)."""
ROLORA = Strategy(
    name="rolora",
    summary="B and A are trained and averaged in turn: exact, half the upload (RoLoRA)",
    combine=partial(combine_flat, frozen=("A", "B")),
    flat=True,
    frozen=("A", "B"),
)
"""RoLoRA: rounds train B and A in turn, so each round's mean is exact (Chen et al., arXiv:2502.01755)."""
