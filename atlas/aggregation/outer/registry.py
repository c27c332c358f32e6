"""The outer optimizers by name."""

from typing import TYPE_CHECKING

from atlas.registry import Registry

if TYPE_CHECKING:
    from atlas.aggregation.outer.optimizer import Optimizer

_HERE = "atlas.aggregation.outer"
OPTIMIZERS: "Registry[Optimizer]" = Registry(
    {"nesterov": f"{_HERE}.nesterov:NESTEROV", "adam": f"{_HERE}.adaptive:ADAM", "yogi": f"{_HERE}.adaptive:YOGI"}
)
