"""False nodes: they know every honest change and the rule, and send changes according to a plan."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.aggregation.worst.scenes import DIMENSION, LAYERS, Array

LEAST_NOISE, MOST_NOISE = 0.1, 2.5
"""The range of `apart` in a random plan, in median lengths of honest changes."""


@dataclass(frozen=True)
class Plan:
    """The changes of one or two groups of false nodes: sums of honest changes, plus directions of no honest node."""

    honest: Array
    """(2, H): the coefficient of each honest change in each group."""
    common: Array
    """(2,): how far each group moves along the extra direction that is common to all false nodes, in median lengths."""
    apart: Array
    """(2,): how far each node moves along its individual extra direction, in median lengths."""
    layers: Array
    """(2, LAYERS): factors of the sum of honest changes in each layer."""
    sizes: tuple[int, int]
    """Nodes in each group; false nodes in neither group send nothing."""


class FalseNodes:
    """The false nodes of a round with given honest nodes."""

    def __init__(self, rng: np.random.Generator, kinds: NDArray[np.int64], most: int) -> None:
        self._rng, self._kinds, self.most = rng, kinds, most
        self._directions = rng.normal(size=(most + 1, DIMENSION))

    def changes(self, plan: Plan, honest: Array, longest: float) -> Array:
        """(false nodes, DIMENSION): the changes that they send, clipped to `longest` median lengths."""
        median = float(np.median(np.linalg.norm(honest, axis=1)))
        frame = np.linalg.qr(np.vstack([honest, self._directions]).T)[0].T[-self.most - 1 :] * median
        layer = np.arange(DIMENSION) * LAYERS // DIMENSION
        sent, first = [], 0
        for group, size in enumerate(plan.sizes):
            shared = (plan.honest[group] @ honest) * plan.layers[group][layer] + plan.common[group] * frame[-1]
            sent.append(shared + plan.apart[group] * frame[first : first + size])
            first += size
        found = np.concatenate(sent)
        lengths = np.linalg.norm(found, axis=1)
        limit = longest * float(np.median(np.concatenate([np.linalg.norm(honest, axis=1), lengths])))
        return np.asarray(found * np.minimum(1.0, limit / np.maximum(lengths, 1e-12))[:, None])

    def start(self) -> Plan:
        """A random plan: against the mean, against one kind of nodes, or against all but a part that it supports."""
        draw, count = self._rng, len(self._kinds)
        honest = np.zeros((2, count))
        for row in honest:
            scale = np.exp(draw.uniform(np.log(0.2), np.log(6)))
            kind = self._kinds == draw.choice(self._kinds)
            aim = draw.choice(["mean", "mean", "kind", "all but a kind", "all but some"])
            part = draw.random(count) < 0.4 if aim == "all but some" else kind
            if aim == "kind":
                row[kind] = -scale / kind.sum()
                continue
            row[:] = -scale / count
            if aim != "mean":
                row[part] += scale * draw.uniform(0, 1.5) / max(1, part.sum())
        layers = np.ones((2, LAYERS))
        if draw.random() < 0.2:
            layers = np.where(np.arange(LAYERS) == draw.integers(LAYERS), 1.0, -0.3) * np.ones((2, 1))
        first = self.most if draw.random() < 0.6 else int(draw.integers(1, self.most + 1))
        return Plan(
            honest,
            draw.choice([0.0, 1.0]) * draw.uniform(0, 2, 2),
            draw.uniform(LEAST_NOISE, MOST_NOISE, 2),
            layers,
            (first, self.most - first),
        )

    def near(self, plan: Plan, reach: float) -> Plan:
        """The plan with some of its numbers moved by about `reach`."""
        draw = self._rng
        some = draw.choice([0.1, 0.5, 1.0])

        def moved(values: Array, scale: float) -> Array:
            chosen = draw.random(values.shape) < some
            return np.asarray(values + reach * scale * chosen * draw.normal(size=values.shape))

        honest = moved(plan.honest, float(np.abs(plan.honest).sum(axis=1).mean()) / plan.honest.shape[1])
        if draw.random() < 0.3:
            honest = honest * np.exp(reach * draw.normal())
        sizes = plan.sizes
        if draw.random() < 0.15:
            first = int(np.clip(sizes[0] + draw.integers(-1, 2), 1, self.most))
            sizes = (first, int(np.clip(sizes[1] + draw.integers(-1, 2), 0, self.most - first)))
        return replace(
            plan,
            honest=honest,
            common=moved(plan.common, 0.4),
            apart=np.abs(moved(plan.apart, 0.4)),
            layers=moved(plan.layers, 0.4),
            sizes=sizes,
        )
