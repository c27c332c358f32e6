"""All strategies by name."""

from atlas.aggregation.strategies.fedavg import FEDAVG
from atlas.aggregation.strategies.fedex import FEDEX
from atlas.aggregation.strategies.ffa import FFA
from atlas.aggregation.strategies.qr_svd import QR_SVD
from atlas.aggregation.strategies.rolora import ROLORA
from atlas.aggregation.strategies.stack import STACK
from atlas.aggregation.strategies.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in (FEDAVG, FFA, ROLORA, STACK, QR_SVD, FEDEX)}
"""In the order in which help texts list them."""
