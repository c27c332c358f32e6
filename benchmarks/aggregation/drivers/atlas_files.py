"""Update files as inputs of this project's aggregation, and its gates."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from common import update_path, weight_of

from atlas.aggregation.gates.gates import (
    InspectedUpdate,
    Refusal,
    check_round,
    copy_refusal,
    inspect_update,
    norm_refusal,
)
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.settings import AggregationSpec


def round_inputs(folder: str, updates: int, settings: dict[str, Any], scaling: float = 2.0) -> RoundInputs:
    """A round over the files of a folder."""
    files = [Update(f"s{number:03d}", update_path(folder, number), weight_of(number)) for number in range(updates)]
    base = Path(folder) / "base.safetensors"
    return RoundInputs(AggregationSpec(**settings), 1, "bench", scaling, base, tuple(files))


def gated(inputs: RoundInputs, rank: int, order: Sequence[int] | None = None) -> dict[str, Refusal]:
    """Run the gates on each update in order of arrival (by default, shard order), then on the whole round."""
    limits, frozen = inputs.settings.gates, inputs.settings.method.frozen_factor(inputs.round)
    refused: dict[str, Refusal] = {}
    known: list[InspectedUpdate] = []
    for number in order or range(len(inputs.updates)):
        update = inputs.updates[number]
        found = inspect_update(update.path, inputs.base, frozen, rank, inputs.seed)
        if isinstance(found, Refusal):
            refused[update.shard] = found
            continue
        late = InspectedUpdate(update.shard, f"node-{number}", f"rows-{number}", str(update.path), update.path, found)
        norms = [one.inspected.norm for one in known]
        refusal = norm_refusal(found.norm, norms, limits.largest_norm, expected=len(inputs.updates))
        refusal = refusal or copy_refusal(late, known, inputs.base, limits.copy_cosine)
        if refusal:
            refused[update.shard] = refusal
        else:
            known.append(late)
    return refused | check_round({one.shard: one.inspected.norm for one in known}, limits.largest_norm)
