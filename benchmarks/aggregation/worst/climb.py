"""The search: random restarts, then random steps that are kept if they make the rule's result worse."""

from dataclasses import dataclass

import numpy as np

from benchmarks.aggregation.worst.false_nodes import FalseNodes, Plan
from benchmarks.aggregation.worst.rules import LIMITS, cosine, gates_pass, step
from benchmarks.aggregation.worst.scenes import DIMENSION, LAYERS, Array, Scene, unlikeness

TRIES = 12
"""Random plans per restart; the search continues from the best one."""
PACE = 0.4
"""With several rounds, the share of the distance to its optimum that an honest node covers in a round."""


@dataclass(frozen=True)
class Find:
    """The worst case that was found against a rule."""

    cosine: float
    """The cosine of the step, or of the sum of all rounds' steps, with the honest nodes' mean."""
    length: float
    """The step's component along the honest mean, in multiples of its length."""
    honest: Array
    changes: Array
    """(N, D): the changes sent in the last round, honest ones first."""
    rows: Array
    unlikeness: float


class Round:
    """The honest and false nodes of one scene, determined by the seed."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.rng = np.random.default_rng(seed)
        self.honest, kinds = scene.draw(self.rng, scene.honest)
        self.false_nodes = FalseNodes(self.rng, kinds, scene.false)
        self._part = slice(0, DIMENSION // LAYERS) if scene.layer else slice(None)

    def play(self, rule: str, plan: Plan) -> Find | None:
        """The result of a plan; None if a gate refuses one of its updates."""
        start, place = self.honest, np.zeros(DIMENSION)
        for _ in range(self.scene.rounds):
            honest = start if self.scene.rounds == 1 else PACE * (start - place)
            changes = np.concatenate([honest, self.false_nodes.changes(plan, honest, 0.98 * LIMITS.largest_norm)])
            if not gates_pass(changes):
                return None
            rows = np.where(np.arange(len(changes)) < len(honest), 1.0, self.scene.rows)
            place = place + step(rule, changes, rows)
        wanted, found = start.mean(axis=0)[self._part], place[self._part]
        length = float(found @ wanted / (wanted @ wanted))
        return Find(cosine(found, wanted), length, honest, changes, rows, unlikeness(start))


def worst(rule: str, scene: Scene, seed: int, restarts: int = 4, steps: int = 100) -> Find:
    """The find with the lowest cosine over `restarts` restarts of `steps` steps each; deterministic."""
    game = Round(scene, seed)
    return min((_climb(game, rule, steps) for _ in range(restarts)), key=lambda find: find.cosine)


def _climb(game: Round, rule: str, steps: int) -> Find:
    passed: list[tuple[Find, Plan]] = []
    while not passed:
        plans = [game.false_nodes.start() for _ in range(TRIES)]
        tried = [(game.play(rule, plan), plan) for plan in plans]
        passed = [(find, plan) for find, plan in tried if find is not None]
    best, plan = min(passed, key=lambda pair: pair[0].cosine)
    reach = 0.25
    for _ in range(steps):
        other = game.false_nodes.near(plan, reach)
        found = game.play(rule, other)
        if found is not None and found.cosine < best.cosine:
            best, plan, reach = found, other, min(1.0, reach * 1.5)
        else:
            reach = max(0.02, reach * 0.93)
    return best


def cost(rule: str, scene: Scene, seeds: int = 5) -> float:
    """The largest distance of the step from the mean, in lengths of the mean, over rounds with only honest nodes."""
    found = []
    for seed in range(seeds):
        changes, _ = scene.draw(np.random.default_rng(seed), scene.nodes)
        mean = changes.mean(axis=0)
        distance = np.linalg.norm(step(rule, changes, np.ones(len(changes))) - mean)
        found.append(float(distance / np.linalg.norm(mean)))
    return max(found)
