"""The step of a rule for given changes, and whether the changes pass the gates."""

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
    """(D,): the change of the checkpoint, from (N, D) changes of updates whose shards have `rows` rows."""
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
    """Whether all changes pass the default limits on norms, and all pairs the default limit on similarity."""
    lengths = np.linalg.norm(changes, axis=1)
    if check_round({f"{place:03d}": float(length) for place, length in enumerate(lengths)}, LIMITS.largest_norm):
        return False
    units = changes / np.maximum(lengths, 1e-12)[:, None]
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    return float(cosines.max()) <= LIMITS.copy_cosine


def cosine(left: Array, right: Array) -> float:
    """The cosine of two vectors; 0 if `left` is negligibly short compared with `right`."""
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / lengths if lengths > 1e-9 * float(right @ right) else 0.0
