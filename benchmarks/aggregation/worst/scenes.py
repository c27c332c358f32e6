"""Scenes: the number of honest and false nodes, and how much the honest changes differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DIMENSION = 128
LAYERS = 4


@dataclass(frozen=True)
class Scene:
    """Honest nodes of one or more kinds. Nodes of a kind share a direction of length one."""

    title: str
    shares: tuple[float, ...] = (1.0,)
    """The share of each kind among the honest nodes."""
    cosine: float = 0.0
    """The cosine between the directions of any two kinds."""
    noise: float = 0.5
    """The length of each node's individual noise."""
    lengths: tuple[float, ...] = ()
    """The lengths of the kinds' directions; one if empty."""
    nodes: int = 20
    false: int = 6
    rows: float = 1.0
    """Rows of a false node's shard, as a multiple of an honest node's."""
    rounds: int = 1
    """With several rounds, honest nodes train towards their own optimum from the result of the previous round."""
    layer: bool = False
    """Whether only the first layer of the step is evaluated."""

    @property
    def honest(self) -> int:
        """The number of honest nodes."""
        return self.nodes - self.false

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Array, NDArray[np.int64]]:
        """(count, DIMENSION) changes and (count,) kinds of `count` honest nodes."""
        kinds = len(self.shares)
        frame = np.linalg.qr(rng.normal(size=(DIMENSION, kinds)))[0].T
        products = np.full((kinds, kinds), self.cosine) + (1 - self.cosine) * np.eye(kinds)
        directions = np.linalg.cholesky(products + 1e-12 * np.eye(kinds)) @ frame
        if self.lengths:
            directions = directions * np.array(self.lengths)[:, None]
        edges = np.round(np.cumsum(self.shares) * count).astype(int)
        kind = np.minimum(np.searchsorted(edges, np.arange(count), side="right"), kinds - 1)
        own = rng.normal(size=(count, DIMENSION)) / np.sqrt(DIMENSION)
        return directions[kind] + self.noise * own, kind


def unlikeness(changes: Array) -> float:
    """The largest eigenvalue of the changes' covariance, divided by the squared length of their mean."""
    mean = changes.mean(axis=0)
    centred = changes - mean
    return float(np.linalg.norm(centred, 2) ** 2 / len(changes) / (mean @ mean))


SCENES: dict[str, Scene] = {
    "like": Scene("one kind, 0.5 of its own"),
    "own-2": Scene("one kind, 2 of its own", noise=2.0),
    "two": Scene("two kinds 60/40, orthogonal", (0.6, 0.4), noise=0.3),
    "near-share": Scene("two kinds 70/30, orthogonal", (0.7, 0.3)),
    "ten": Scene("10 nodes, two kinds 55/45, orthogonal", (0.55, 0.45), nodes=10, false=3),
    "forty": Scene("40 nodes, two kinds 60/40, orthogonal", (0.6, 0.4), nodes=40, false=12),
    "three": Scene("three kinds 40/30/30, orthogonal", (0.4, 0.3, 0.3)),
    "four": Scene("four kinds, orthogonal", (0.25,) * 4),
    "heavy": Scene("one kind, 1 of its own, false nodes with four times the rows", noise=1.0, rows=4.0),
    "drift": Scene("two kinds 60/40, orthogonal, three rounds", (0.6, 0.4), noise=0.3, rounds=3),
    "against-0.2": Scene("two kinds 60/40, cosine -0.2", (0.6, 0.4), -0.2),
    "against-0.4": Scene("two kinds 60/40, cosine -0.4", (0.6, 0.4), -0.4),
    "against-share": Scene("two kinds 70/30, cosine -0.2", (0.7, 0.3), -0.2),
    "far-kind": Scene("a kind of 43 %, four times as long", (0.57, 0.43), lengths=(1.0, 4.0), noise=0.7),
    "layer": Scene("one kind, judged in one layer of four", layer=True),
}
