"""Nesterov momentum over rounds, the outer optimizer of DiLoCo (Douillard et al., arXiv:2311.08105)."""

from collections.abc import Mapping

from atlas.aggregation.outer.optimizer import Numbers, Optimizer
from atlas.aggregation.outer.settings import OuterSpec


def step(
    base: Numbers, combined: Numbers, state: Mapping[str, Numbers], learning_rate: float, spec: OuterSpec
) -> tuple[Numbers, dict[str, Numbers]]:
    """G = base - combined; m = μ·m + g; base - rate·(g + μ·m), as `torch.optim.SGD(nesterov=True)` computes it."""
    gradient = base - combined
    momentum = spec.momentum * state["momentum"] + gradient
    return base - learning_rate * (gradient + spec.momentum * momentum), {"momentum": momentum}


NESTEROV = Optimizer(
    name="nesterov",
    summary="momentum over rounds, as in DiLoCo; for many local steps",
    learning_rate=0.7,
    state={"momentum": lambda spec: 0.0},
    step=step,
)
