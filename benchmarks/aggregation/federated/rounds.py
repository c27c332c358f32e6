"""A round: gates, then aggregation, as the coordinator does them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.aggregate import aggregate_files
from atlas.aggregation.gates.gates import (
    InspectedUpdate,
    Refusal,
    check_round,
    copy_refusal,
    inspect_update,
    norm_refusal,
)
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.content.format.cid import cid_of_file
from benchmarks.aggregation.federated.sentiment import Shard, Task


@dataclass(frozen=True)
class Model:
    """The model at the start or at the end of a round."""

    adapter: Path
    merged: tuple[Path, ...] = ()


def aggregate(
    task: Task,
    start: Model,
    updates: Sequence[tuple[Shard, Path]],
    round_: int,
    folder: Path,
) -> tuple[Model, dict[str, Refusal]]:
    """The round's result from the updates that pass the gates, and the refusals by shard."""
    folder.mkdir(parents=True, exist_ok=True)
    base = cid_of_file(start.adapter)
    refused = _gates(task, start, updates, round_, base)
    settings = task.spec.robust_aggregation
    passed = tuple(Update(shard.key, path, shard.rows) for shard, path in updates if shard.key not in refused)
    inputs = RoundInputs(settings, round_, base, task.spec.lora.scaling, start.adapter, passed)
    found = aggregate_files(inputs, folder)
    return Model(found.adapter, (*start.merged, *([found.merged] if found.merged else []))), refused


def _gates(
    task: Task, start: Model, updates: Sequence[tuple[Shard, Path]], round_: int, base: str
) -> dict[str, Refusal]:
    limits, frozen = task.spec.aggregation.gates, task.spec.aggregation.method.frozen_factor(round_)
    refused: dict[str, Refusal] = {}
    known: list[InspectedUpdate] = []
    for shard, path in updates:
        found = inspect_update(path, start.adapter, frozen, task.spec.lora.rank, base)
        if isinstance(found, Refusal):
            refused[shard.key] = found
            continue
        late = InspectedUpdate(shard.key, shard.key, cid_of_file(shard.path), cid_of_file(path), path, found)
        norms = [one.inspected.norm for one in known]
        refusal = norm_refusal(found.norm, norms, limits.largest_norm, expected=len(updates))
        refusal = refusal or copy_refusal(late, known, start.adapter, limits.copy_cosine)
        if refusal:
            refused[shard.key] = refusal
        else:
            known.append(late)
    return refused | check_round({one.shard: one.inspected.norm for one in known}, limits.largest_norm)


def by_gate(refused: Mapping[str, Refusal]) -> dict[str, int]:
    """How many updates each gate refused."""
    gates = sorted(refusal.gate for refusal in refused.values())
    return {gate: gates.count(gate) for gate in dict.fromkeys(gates)}
