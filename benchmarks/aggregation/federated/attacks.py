"""The updates of malicious nodes, computed from the honest updates of all nodes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Tensors = dict[str, np.ndarray]
FALSE_ROWS = 1e12
NOISE = 0.2
"""The noise that attackers add to a shared update, as a share of its change's norm, so that they send no copies."""


@dataclass(frozen=True)
class Scene:
    """The knowledge of an attacker: the base, all honest updates, and its own."""

    base: Tensors
    honest: Sequence[Tensors]
    """The updates of the honest nodes."""
    own: Tensors
    """The update that this attacker would send if it were honest."""
    nodes: int
    seed: int

    @property
    def attackers(self) -> int:
        """The number of attackers."""
        return self.nodes - len(self.honest)


def nan(scene: Scene) -> Tensors:
    """The own update with one NaN in each tensor."""
    return _with_first(scene.own, np.nan)


def infinity(scene: Scene) -> Tensors:
    """The own update with one infinity in each tensor."""
    return _with_first(scene.own, np.inf)


def sign_flip(scene: Scene) -> Tensors:
    """The negated change."""
    return {name: base - (scene.own[name] - base) for name, base in scene.base.items()}


def scaled(scene: Scene) -> Tensors:
    """The change times -100."""
    return {name: base - 100 * (scene.own[name] - base) for name, base in scene.base.items()}


def a_little_is_enough(scene: Scene) -> Tensors:
    """Each number z standard deviations below the honest mean, within the spread (Baruch et al., arXiv:1902.06156)."""
    n, m = scene.nodes, scene.attackers
    supporters = n // 2 + 1 - m
    z = NormalDist().inv_cdf((n - m - supporters) / (n - m))
    stacks = {name: np.stack([one[name] for one in scene.honest]) for name in scene.base}
    return _noisy(scene, {name: stack.mean(0) - z * stack.std(0) for name, stack in stacks.items()})


def inner_product(scene: Scene) -> Tensors:
    """The negated honest mean, long enough to reverse the mean of all updates (Xie et al., arXiv:1903.03936)."""
    factor = 1.1 * len(scene.honest) / scene.attackers
    means = {name: np.mean([one[name] for one in scene.honest], axis=0) for name in scene.base}
    return _noisy(scene, {name: base - factor * (means[name] - base) for name, base in scene.base.items()})


def own(scene: Scene) -> Tensors:
    """The update that the node trained, for a clean run or for flipped labels."""
    return scene.own


@dataclass(frozen=True)
class Attack:
    """One kind of attack."""

    title: str
    update: Callable[[Scene], Tensors] = own
    claim: float | None = None
    """The number of rows that attackers claim; None for the true number. Only the peers use claims."""
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
