"""FFA-LoRA: A keeps its initial values, so the mean of B is exact (Sun et al., arXiv:2403.12313)."""

from functools import partial

from atlas.aggregation.strategies.flat import combine_flat
from atlas.aggregation.strategies.strategy import Strategy

FFA = Strategy(
    name="ffa",
    summary="A stays frozen and B is averaged: exact, half the upload, fewer trained parameters (FFA-LoRA)",
    combine=partial(combine_flat, frozen=("A",)),
    flat=True,
    frozen=("A",),
)
