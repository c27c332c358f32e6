"""RoLoRA: rounds train B and A in turn, so each round's mean is exact (Chen et al., arXiv:2502.01755)."""

from functools import partial

from atlas.aggregation.strategies.flat import combine_flat
from atlas.aggregation.strategies.strategy import Strategy

ROLORA = Strategy(
    name="rolora",
    summary="B and A are trained and averaged in turn: exact, half the upload (RoLoRA)",
    combine=partial(combine_flat, frozen=("A", "B")),
    flat=True,
    frozen=("A", "B"),
)
