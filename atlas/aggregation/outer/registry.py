"""The outer optimizers by name."""

from atlas.aggregation.outer.adaptive import ADAM, YOGI
from atlas.aggregation.outer.nesterov import NESTEROV
from atlas.aggregation.outer.optimizer import Optimizer

OPTIMIZERS: dict[str, Optimizer] = {optimizer.name: optimizer for optimizer in (NESTEROV, ADAM, YOGI)}
