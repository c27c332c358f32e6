"""Gates: why an adapter may not enter an aggregation. A gate reads bytes and returns a reason or nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from atlas.errors import AggregationError

Schema = Mapping[str, tuple[str, tuple[int, ...]]]
"""Tensor name -> (safetensors dtype, shape)."""


@dataclass(frozen=True)
class Refusal:
    """The gate that refused an update, and why."""

    gate: str
    reason: str


def schema_of(adapter: Path) -> Schema:
    """Names, dtypes and shapes of a safetensors file; raises `AggregationError` when it is not one."""
    try:
        with safe_open(adapter, framework="numpy") as tensors:
            slices = {name: tensors.get_slice(name) for name in sorted(tensors.keys())}
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise AggregationError(f"{adapter.name} is not a readable safetensors file: {error}.") from error


def reference_schema(adapters: Sequence[Path], base: Path | None) -> Schema:
    """What every adapter of a round must look like: its base's schema, else the commonest among the readable ones.

    Ties go to the first in the given (shard) order. Raises `AggregationError` when nothing is readable.
    """
    if base is not None:
        return schema_of(base)
    readable = []
    for adapter in adapters:
        try:
            readable.append(schema_of(adapter))
        except AggregationError:
            continue  # its own gate reports it, with the reason
    if not readable:
        raise AggregationError("None of the round's adapters is a readable safetensors file; train the round again.")
    votes = Counter(tuple(schema.items()) for schema in readable)
    return dict(votes.most_common(1)[0][0])


def check_adapter(adapter: Path, reference: Schema, rank: int) -> Refusal | None:
    """Pass an adapter through every gate in order; None when it may enter the round."""
    try:
        schema = schema_of(adapter)
    except AggregationError as error:
        return Refusal("readable", str(error))
    return _check_schema(schema, reference) or _check_rank(schema, rank) or _check_finite(adapter, schema)


def _check_schema(schema: Schema, reference: Schema) -> Refusal | None:
    missing, unexpected = sorted(reference.keys() - schema.keys()), sorted(schema.keys() - reference.keys())
    if missing:
        return Refusal("schema", f"lacks {len(missing)} tensors, first {missing[0]}")
    if unexpected:
        return Refusal("schema", f"has {len(unexpected)} unexpected tensors, first {unexpected[0]}")
    for name in sorted(schema):
        if schema[name] != reference[name]:
            return Refusal("schema", f"{name} is {_describe(schema[name])}, expected {_describe(reference[name])}")
        if schema[name][0] != "F32":
            return Refusal("schema", f"{name} is {schema[name][0]}, expected F32")
    return None


def _check_rank(schema: Schema, rank: int) -> Refusal | None:
    for name, (_, shape) in sorted(schema.items()):
        found = shape[0] if ".lora_A." in name else shape[-1] if ".lora_B." in name else rank
        if found != rank:
            return Refusal("schema", f"{name} has rank {found}, the job says {rank}")
    return None


def _check_finite(adapter: Path, schema: Schema) -> Refusal | None:
    with safe_open(adapter, framework="numpy") as tensors:
        for name in sorted(schema):
            if not np.isfinite(tensors.get_tensor(name)).all():
                return Refusal("finite", f"{name} holds NaN or infinity")
    return None


def _describe(entry: tuple[str, tuple[int, ...]]) -> str:
    return f"{entry[0]}{list(entry[1])}"
