"""Real vectors for the rules: honest changes, attacks on them, and their geometry."""

from statistics import NormalDist

import numpy as np

from atlas.aggregation.robust.rule import Geometry
from atlas.aggregation.robust.settings import RobustSpec

DIMENSION = 400


def honest(count: int, spread: float, seed: int) -> np.ndarray:
    """Changes that share a direction of length one, each with a deviation of `spread` of its own."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=DIMENSION)
    deviations = rng.normal(size=(count, DIMENSION)) / np.sqrt(DIMENSION)
    return common / np.linalg.norm(common) + spread * deviations


def attacked(changes: np.ndarray, false: int, attack: str) -> np.ndarray:
    """The changes with the first `false` replaced, by nodes that know the others."""
    true = changes[false:]
    mean, deviation = true.mean(axis=0), true.std(axis=0)
    count = len(changes)
    supporters = count // 2 + 1 - false
    z = NormalDist().inv_cdf((count - false - supporters) / (count - false))
    forged = {
        "sign flip": -changes[:false],
        "strong sign flip": -5 * changes[:false],
        "scaled": 100 * changes[:false],
        "alie": np.tile(mean - z * deviation, (false, 1)),
        "weak inner product": np.tile(-0.5 * mean, (false, 1)),
        "inner product": np.tile(-5 * mean, (false, 1)),
        "zero": np.zeros((false, changes.shape[1])),
    }[attack]
    return np.concatenate([forged, true])


def geometry(changes: np.ndarray, weights: np.ndarray | None = None, reference: np.ndarray | None = None) -> Geometry:
    shares = np.ones(len(changes)) if weights is None else np.asarray(weights, np.float64)
    gram = changes @ changes.T
    if reference is None:
        return Geometry(shares / shares.sum(), gram)
    return Geometry(shares / shares.sum(), gram, changes @ reference, float(reference @ reference))


def centre(rule, changes, weights=None, reference=None, **settings) -> np.ndarray:
    """The vector that a rule's coefficients stand for."""
    return rule.coefficients(geometry(changes, weights, reference), RobustSpec(**settings)) @ changes


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def ratio(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(left) / np.linalg.norm(right))
