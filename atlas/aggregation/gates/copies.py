"""The gate `copy`: refuses an update that another node sent earlier, unchanged or with a little noise."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.changes import change_blocks
from atlas.aggregation.gates.inspection import Inspected
from atlas.aggregation.gates.refusal import Refusal
from atlas.aggregation.gates.sketch import likeness
from atlas.ids import Cid

CONFIRMED = 4
"""The number of suspects whose files are compared; the original is the most similar one to a copy."""


@dataclass(frozen=True)
class InspectedUpdate:
    """An update that passed inspection, with its shard, node and data."""

    shard: str
    node: str
    data: Cid
    """CID of the rows that it was trained on."""
    adapter: Cid
    """CID of the update."""
    path: Path
    inspected: Inspected


def copy_refusal(
    late: InspectedUpdate, earlier: Sequence[InspectedUpdate], base: Path, largest_cosine: float
) -> Refusal | None:
    """Refuse an update that equals, or nearly equals, an earlier update of another node that was trained on other rows.

    `earlier` are the accepted updates of the same round, which started from `base`. Two changes count as copies when
    their cosine exceeds `largest_cosine`. Updates of one node, and of nodes that have the same rows, may be equal:
    honest training on the same rows gives the same bytes. Sketches select suspects; the comparison uses the files.

    For the node's owner: the node sent another node's update, or did not train.
    """
    others = [one for one in earlier if one.node != late.node and one.data != late.data]
    for one in others:
        if one.adapter == late.adapter:
            return Refusal("copy", f"is {one.adapter}, which another node sent for shard {one.shard} before")
    for one in _suspects(late, others, largest_cosine):
        found = cosine(late.path, one.path, base)
        if found > largest_cosine:
            return Refusal(
                "copy",
                f"changes its base as the update of another node for shard {one.shard} does, on other rows: "
                f"cosine {found:.4f}, expected at most {largest_cosine:g}",
            )
    return None


def _suspects(late: InspectedUpdate, others: Sequence[InspectedUpdate], largest_cosine: float) -> list[InspectedUpdate]:
    """The updates with the most similar sketches; the margin is wider than the limit to allow for sketch errors."""
    margin = 1 - 4 * (1 - largest_cosine)
    alike = [(likeness(late.inspected.sketch, one.inspected.sketch), one) for one in others if _same_kind(late, one)]
    near = [pair for pair in alike if pair[0] > margin]
    return [one for _, one in heapq.nlargest(CONFIRMED, near, key=lambda pair: pair[0])]


def _same_kind(late: InspectedUpdate, one: InspectedUpdate) -> bool:
    return (late.inspected.rank, late.inspected.size) == (one.inspected.rank, one.inspected.size)


def cosine(first: Path, second: Path, base: Path) -> float:
    """The cosine of two updates' changes, from files with the same schema; 0 when a change is zero."""
    product = square = other = 0.0
    start = AdapterFile(base)
    pairs = zip(change_blocks(AdapterFile(first), start), change_blocks(AdapterFile(second), start), strict=True)
    for one, two in pairs:
        a, b = one.astype(np.float64), two.astype(np.float64)
        product, square, other = product + float(a @ b), square + float(a @ a), other + float(b @ b)
    return product / math.sqrt(square * other) if square > 0 and other > 0 else 0.0
