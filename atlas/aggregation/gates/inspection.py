"""Inspection of an update in one read: its fit to the task, its finiteness, and its change of the base."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.changes import change_blocks
from atlas.aggregation.files.factors import Factor
from atlas.aggregation.gates.refusal import Refusal
from atlas.aggregation.gates.schema import expected_schema, file_schema, schema_refusal
from atlas.aggregation.gates.sketch import Sketch
from atlas.errors import AggregationError


@dataclass(frozen=True)
class Inspected:
    """The change δ = update - base of an update that is readable, of the right schema and finite."""

    rank: int
    size: int
    """How many numbers the update holds."""
    norm: float
    """‖δ‖, to about six digits."""
    sketch: NDArray[np.float32]
    """The direction of δ's count sketch; comparable between updates of one round and one rank."""


def inspect_update(update: Path, base: Path, frozen: Factor | None, rank: int, seed: str) -> Refusal | Inspected:
    """Read an update once and pass it through the gates `readable`, `schema` and `finite`.

    `base` is the whole adapter that the round started from, `frozen` the factor that this round does not train,
    `rank` the shard's rank, and `seed` the same for all updates that are compared (the CID of the round's base). Raises
    `AggregationError` for a base that cannot be read. The meaning of each refusal for the owner of the node:

    - `readable`: the file is truncated or not a safetensors file; the upload was interrupted, or another file was sent.
    - `schema`: the node trained other tensors than its task requires; its software has another version.
    - `finite`: training diverged on the node, usually because of low precision or faulty memory.
    """
    expected = expected_schema(base, frozen, rank)
    try:
        file = AdapterFile(update)
    except AggregationError as error:
        return Refusal("readable", str(error))
    return schema_refusal(file_schema(file), expected) or _measure(file, AdapterFile(base), rank, seed)


def _measure(update: AdapterFile, base: AdapterFile, rank: int, seed: str) -> Refusal | Inspected:
    square, sketch = 0.0, Sketch(seed)
    with np.errstate(over="ignore", invalid="ignore"):
        for change in change_blocks(update, base):
            part = float(np.dot(change, change))
            if not math.isfinite(part):
                return _not_finite(update)
            square += part
            sketch.add(change)
    return Inspected(rank, update.size, math.sqrt(square), sketch.direction())


def _not_finite(update: AdapterFile) -> Refusal:
    """The refusal of an update whose change has no finite length."""
    for name in update.tensors:
        value = update.read(name)
        bad = value.size - int(np.isfinite(value).sum())
        if bad:
            return Refusal("finite", f"{name} holds NaN or infinity in {bad} of {value.size} numbers, expected none")
    return Refusal("finite", "differs from its base by more than float32 can square, expected a trained adapter")
