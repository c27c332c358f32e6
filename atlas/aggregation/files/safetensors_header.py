"""The header of a safetensors file: its tensors and their offsets. Parsed strictly, because files are untrusted."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from atlas.errors import AggregationError

LARGEST_HEADER = 8 * 2**20
"""In bytes; enough for about 50,000 tensors. The format allows 100 MB, with which a node could exhaust the memory."""

_LARGEST_RANK = 8
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file."""

    dtype: str
    """In safetensors notation: F32, BF16, I64, …"""
    shape: tuple[int, ...]
    size: int
    """How many numbers it has."""
    offset: int
    """Where its bytes start, counted from the end of the header."""


@dataclass(frozen=True, eq=False)
class Header:
    """A parsed header. Files with equal headers share one object while it is cached."""

    tensors: Mapping[str, TensorInfo]
    """By name, sorted."""


@dataclass(frozen=True)
class TensorRow:
    """The positions of the numbers of some float32 tensors, taken as one row in the order of the tensors."""

    sizes: tuple[int, ...]
    segments: tuple[tuple[int, int, int], ...]
    """(first column, end column, byte offset in the data); tensors that are adjacent in row and file are merged."""

    @property
    def size(self) -> int:
        """How many columns it has."""
        return self.segments[-1][1] if self.segments else 0


@lru_cache(maxsize=16)  # as for the headers: the files of a round have one layout
def row_of(header: Header, names: tuple[str, ...]) -> TensorRow:
    """The row of these tensors; raises `AggregationError` for one that is missing or not float32."""
    sizes: list[int] = []
    segments: list[tuple[int, int, int]] = []
    column = 0
    for name in names:
        tensor = header.tensors.get(name)
        if tensor is None or tensor.dtype != "F32":
            found = "no such tensor" if tensor is None else tensor.dtype
            raise AggregationError(f"expected {name} in F32, found {found}")
        first, byte = column, tensor.offset
        if segments and segments[-1][2] + 4 * (column - segments[-1][0]) == byte:
            first, _, byte = segments.pop()
        column += tensor.size
        segments.append((first, column, byte))
        sizes.append(tensor.size)
    return TensorRow(tuple(sizes), tuple(segments))


@lru_cache(maxsize=4)  # the updates of a round have one header, so a thousand files cost one parse and one copy
def parse_header(header: bytes, data_bytes: int) -> Header:
    """Parse the JSON header of a file with `data_bytes` bytes of data after it.

    Raises `AggregationError` unless the tensors fill the data exactly: no gap, no overlap, no name twice.
    """
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AggregationError(f"its header is not valid JSON: {error}") from error
    if not isinstance(entries, dict):
        raise AggregationError(f"its header must be an object, found {type(entries).__name__}")
    entries.pop("__metadata__", None)
    tensors = {name: _tensor(name, entry) for name, entry in sorted(entries.items())}
    end = 0
    for name, (tensor, stop) in sorted(tensors.items(), key=lambda item: item[1][0].offset):
        if tensor.offset != end:
            raise AggregationError(f"{name} starts at byte {tensor.offset} of the data, expected {end}")
        end = stop
    if end != data_bytes:
        raise AggregationError(f"its tensors take {end} bytes, but {data_bytes} follow the header")
    return Header(MappingProxyType({name: tensor for name, (tensor, _) in tensors.items()}))


def render_header(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> bytes:
    """Length and header of a file of tensors of one dtype, byte for byte as `safetensors` writes it for PyTorch."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in sorted(shapes.items()):
        stop = start + _ITEM_BYTES[dtype] * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _tensor(name: str, entry: Any) -> tuple[TensorInfo, int]:
    """The tensor that a header's entry describes, and where its bytes end."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise AggregationError(f"the entry of {name} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise AggregationError(f"{name} has an unknown dtype {dtype!r}")
    if not _integers(shape) or len(shape) > _LARGEST_RANK or any(length == 0 for length in shape):
        raise AggregationError(f"{name} must have at most {_LARGEST_RANK} dimensions of length 1 or more")
    if not _integers(offsets) or len(offsets) != 2:
        raise AggregationError(f"the data_offsets of {name} must be two non-negative integers")
    start, stop = offsets
    size = math.prod(shape)
    if stop - start != size * _ITEM_BYTES[dtype]:
        raise AggregationError(f"{name} is {dtype}{shape}, which does not take {stop - start} bytes")
    return TensorInfo(dtype, tuple(shape), size, start), stop


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        key.encode()  # raises for a lone surrogate, because such a name cannot be written
        if key in found:
            raise ValueError(f"{key!r} is listed twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
