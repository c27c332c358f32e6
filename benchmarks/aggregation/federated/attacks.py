"""What nodes that lie send, from the updates that they and the honest ones would have sent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Tensors = dict[str, np.ndarray]
FALSE_ROWS = 1e12
NOISE = 0.2
"""Attackers who agree on one update add noise of this share of its length, so that they do not send copies."""


@dataclass(frozen=True)
class Scene:
    """What attackers know: everything."""

    base: Tensors
    honest: Sequence[Tensors]
    """The updates of the honest nodes."""
    own: Tensors
    """What this attacker would send were it honest."""
    nodes: int
    seed: int

    @property
    def attackers(self) -> int:
        """How many there are."""
        return self.nodes - len(self.honest)


def nan(scene: Scene) -> Tensors:
    """One number of each tensor is not a number."""
    return _with_first(scene.own, np.nan)


def infinity(scene: Scene) -> Tensors:
    """One number of each tensor is infinite."""
    return _with_first(scene.own, np.inf)


def sign_flip(scene: Scene) -> Tensors:
    """The change, backwards."""
    return {name: base - (scene.own[name] - base) for name, base in scene.base.items()}


def scaled(scene: Scene) -> Tensors:
    """A hundred times the change, backwards."""
    return {name: base - 100 * (scene.own[name] - base) for name, base in scene.base.items()}


def a_little_is_enough(scene: Scene) -> Tensors:
    """Each number a little below the honest mean, as far as it can hide (Baruch et al., arXiv:1902.06156)."""
    n, m = scene.nodes, scene.attackers
    supporters = n // 2 + 1 - m
    z = NormalDist().inv_cdf((n - m - supporters) / (n - m))
    stacks = {name: np.stack([one[name] for one in scene.honest]) for name in scene.base}
    return _noisy(scene, {name: stack.mean(0) - z * stack.std(0) for name, stack in stacks.items()})


def inner_product(scene: Scene) -> Tensors:
    """Against the honest mean, so far that the mean of all points backwards (Xie et al., arXiv:1903.03936)."""
    factor = 1.1 * len(scene.honest) / scene.attackers
    means = {name: np.mean([one[name] for one in scene.honest], axis=0) for name in scene.base}
    return _noisy(scene, {name: base - factor * (means[name] - base) for name, base in scene.base.items()})


def own(scene: Scene) -> Tensors:
    """What the node trained; the lie is elsewhere."""
    return scene.own


@dataclass(frozen=True)
class Attack:
    """One way to lie."""

    title: str
    update: Callable[[Scene], Tensors] = own
    claim: float | None = None
    """Rows that the attackers say they have; None for the truth. Only peers ask."""
    flips_labels: bool = False


ATTACKS = {
    "clean": Attack("none (clean run)"),
    "nan": Attack("NaN", nan),
    "inf": Attack("infinity", infinity),
    "rows": Attack("sign flip, 10^12 rows claimed", sign_flip, FALSE_ROWS),
    "sign-flip": Attack("sign flip", sign_flip),
    "scaled": Attack("scaled by -100", scaled),
    "alie": Attack("a little is enough", a_little_is_enough),
    "inner-product": Attack("inner product", inner_product),
    "label-flip": Attack("labels flipped", flips_labels=True),
}


def _with_first(tensors: Tensors, value: float) -> Tensors:
    found = {name: values.copy() for name, values in tensors.items()}
    for values in found.values():
        values.flat[0] = value
    return found


def _noisy(scene: Scene, update: Tensors) -> Tensors:
    change = {name: update[name] - base for name, base in scene.base.items()}
    size = sum(values.size for values in change.values())
    length = math.sqrt(sum(float(np.square(values, dtype=np.float64).sum()) for values in change.values()))
    draw = np.random.default_rng(scene.seed)
    deviation = NOISE * length / math.sqrt(size)
    return {
        name: (values + deviation * draw.standard_normal(values.shape)).astype(np.float32)
        for name, values in update.items()
    }
