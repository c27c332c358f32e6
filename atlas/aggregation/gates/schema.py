"""The gates `readable` and `schema`: an update must be a safetensors file with the tensors that its task requires."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import Factor, factor_of, role_of
from atlas.aggregation.gates.refusal import Refusal
from atlas.errors import AggregationError

Schema = Mapping[str, tuple[str, tuple[int, ...]]]
"""Tensor name -> (safetensors dtype, shape)."""


def schema_of(adapter: Path) -> Schema:
    """Names, dtypes and shapes of a safetensors file; raises `AggregationError` when it is not one."""
    return file_schema(AdapterFile(adapter))


def file_schema(file: AdapterFile) -> Schema:
    """Names, dtypes and shapes of an open file."""
    return {name: (tensor.dtype, tensor.shape) for name, tensor in file.tensors.items()}


def expected_schema(base: Path, frozen: Factor | None, rank: int) -> Schema:
    """The required schema of a shard's update: the base's tensors in float32, without the frozen factor, at this rank.

    Raises `AggregationError` when the base is not an adapter, or has a lower rank.
    """
    shapes = tuple((name, tensor.shape) for name, tensor in AdapterFile(base).tensors.items())
    return _expected(shapes, frozen, rank)


@lru_cache(maxsize=64)  # the updates of a round have one base and few ranks
def _expected(shapes: tuple[tuple[str, tuple[int, ...]], ...], frozen: Factor | None, rank: int) -> Schema:
    return MappingProxyType(
        {
            name: ("F32", _at_rank(name, shape, rank))
            for name, shape in shapes
            if frozen is None or role_of(name) != frozen
        }
    )


def _at_rank(name: str, shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    factor = factor_of(name)
    if factor is None:
        return shape
    axis = 0 if factor == "A" else -1
    if rank > shape[axis]:
        raise AggregationError(f"A shard's rank is {rank}, but the base's {name} has rank {shape[axis]} only.")
    return (rank, *shape[1:]) if factor == "A" else (*shape[:-1], rank)


def schema_refusal(found: Schema, expected: Schema) -> Refusal | None:
    """Refuse an update with a missing tensor, an extra tensor, or a tensor of another shape or dtype.

    For the node's owner: the node trained other tensors than its task requires, usually because its software has
    another version.
    """
    if found == expected:
        return None
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing:
        return Refusal("schema", f"lacks {len(missing)} of {len(expected)} tensors, first {missing[0]}")
    if unexpected:
        return Refusal("schema", f"has {len(unexpected)} unexpected tensors, first {unexpected[0]}")
    for name in sorted(found):
        if found[name] != expected[name]:
            return Refusal("schema", f"{name} is {_describe(found[name])}, expected {_describe(expected[name])}")
    return None


def _describe(entry: tuple[str, tuple[int, ...]]) -> str:
    return f"{entry[0]}{list(entry[1])}"
