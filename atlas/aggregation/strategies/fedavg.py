"""FedIT: the separate means of A and B (McMahan et al., arXiv:1602.05629; Zhang et al., arXiv:2305.05644)."""

from functools import partial

from atlas.aggregation.strategies.flat import combine_flat
from atlas.aggregation.strategies.strategy import Strategy

FEDAVG = Strategy(
    name="fedavg",
    summary="mean of A and of B separately (FedIT): simple, but not exactly the mean of the products",
    combine=partial(combine_flat, frozen=(None,)),
    flat=True,
)
