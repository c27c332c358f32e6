"""The step that a rule takes from changes in memory, and whether the gates let these pass."""

import numpy as np

from atlas.aggregation.gates.gates import check_round
from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Geometry
from atlas.aggregation.robust.settings import RobustSpec
from atlas.aggregation.settings import GateSpec
from benchmarks.aggregation.worst.scenes import Array

LIMITS = GateSpec()


def step(rule: str, changes: Array, rows: Array) -> Array:
    """(D,): the change of the checkpoint from (N, D) changes of updates with so many rows."""
    weights = rows / rows.sum()
    if rule == "none":
        return np.asarray(weights @ changes)
    chosen, spec = RULES[rule], RobustSpec(rule=rule)
    if chosen.columns:
        return chosen.columns(changes.astype(np.float32), spec)
    shards = [f"s{place:03d}" for place in range(len(changes))]
    geometry = Geometry(weights, changes @ changes.T)
    return np.asarray(apply_rule(chosen, geometry, spec, shards, "") @ changes)


def gates_pass(changes: Array) -> bool:
    """Whether no change is longer, and no two of them are more alike, than the default gates allow."""
    lengths = np.linalg.norm(changes, axis=1)
    if check_round({f"{place:03d}": float(length) for place, length in enumerate(lengths)}, LIMITS.largest_norm):
        return False
    units = changes / np.maximum(lengths, 1e-12)[:, None]
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    return float(cosines.max()) <= LIMITS.copy_cosine


def cosine(left: Array, right: Array) -> float:
    """The cosine of two vectors; 0 where one is nothing beside the other."""
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / lengths if lengths > 1e-9 * float(right @ right) else 0.0
