"""Adam and Yogi over rounds: FedAdam and FedYogi of "Adaptive Federated Optimization" (Reddi et al.,
arXiv:2003.00295, algorithm 2). As in the paper, there is no bias correction for the first rounds, and the second moment
starts at the square of the adaptivity τ.
"""

from collections.abc import Callable, Mapping

import numpy as np

from atlas.aggregation.outer.optimizer import Numbers, Optimizer
from atlas.aggregation.outer.settings import OuterSpec

Second = Callable[[Numbers, Numbers, float], Numbers]
"""(second moment, square of the change, β₂) -> the next second moment."""


def adam_second(second: Numbers, square: Numbers, beta: float) -> Numbers:
    """V = β₂·v + (1 - β₂)·Δ²."""
    return beta * second + (1 - beta) * square


def yogi_second(second: Numbers, square: Numbers, beta: float) -> Numbers:
    """V = v - (1 - β₂)·Δ²·sign(v - Δ²): the step depends on Δ² only, so the effect of one large change fades slowly."""
    return second - (1 - beta) * square * np.sign(second - square)


def _adaptive(name: str, summary: str, next_second: Second) -> Optimizer:
    def step(
        base: Numbers, combined: Numbers, state: Mapping[str, Numbers], learning_rate: float, spec: OuterSpec
    ) -> tuple[Numbers, dict[str, Numbers]]:
        change = combined - base
        momentum = spec.momentum * state["momentum"] + (1 - spec.momentum) * change
        second = next_second(state["second"], change * change, spec.second_momentum)
        moved = base + learning_rate * momentum / (np.sqrt(second) + spec.adaptivity)
        return moved, {"momentum": momentum, "second": second}

    return Optimizer(
        name=name,
        summary=summary,
        learning_rate=0.01,
        state={"momentum": lambda spec: 0.0, "second": lambda spec: spec.adaptivity * spec.adaptivity},
        step=step,
    )


ADAM = _adaptive("adam", "a separate step size for every number, as in FedAdam", adam_second)
YOGI = _adaptive("yogi", "as adam, with steps that grow more slowly again after a large change", yogi_second)
