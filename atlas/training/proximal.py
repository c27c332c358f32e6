"""FedProx: a penalty on the distance from the adapter that the round started from."""

from collections.abc import Iterable

import torch


class ProximalPull:
    """The gradient of (μ/2)·‖θ - θ₀‖², where θ₀ are the parameters at construction (arXiv:1812.06127)."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], strength: float) -> None:
        """`strength` is μ; if it is zero, no copies are kept and no gradient is added."""
        self._strength = strength
        self._origins = [(parameter, parameter.detach().clone()) for parameter in parameters] if strength > 0 else []

    def add_to_gradients(self) -> None:
        """Add μ·(θ - θ₀) to the gradient of each parameter that has one."""
        for parameter, origin in self._origins:
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - origin, alpha=self._strength)
