"""An encoded update on disk: a safetensors file with the codec's parts, each one for all tensors together.

There is one header entry per part, not per tensor: tensor names would take as many bytes as a small adapter's changes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from atlas.aggregation.compression.codec import Codec, Parts
from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.disk.files import write_file
from atlas.errors import AggregationError

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
}
_LARGEST_HEADER = 4096


def write_parts(path: Path, parts: Parts, heading: str) -> None:
    """Write an encoded update atomically; equal parts give equal bytes. Raises `AggregationError`."""
    write_file(path, safetensors.numpy.save(parts, {"update": heading}), AggregationError)


def read_parts(path: Path, codec: Codec, most: Mapping[str, int]) -> tuple[Parts, str]:
    """The parts of an encoded update and its heading; `most` limits the length of each.

    The file comes from an untrusted node: its size is checked before it is read. Raises `AggregationError` unless it
    has the form that `write_parts` writes for this codec.
    """
    limit = 8 + _LARGEST_HEADER + sum(most[part] * _DTYPES[dtype].itemsize for part, dtype in codec.parts.items())
    _check_size(path, codec, limit)
    file = AdapterFile(path)
    found = {name: (tensor.dtype, len(tensor.shape)) for name, tensor in file.tensors.items()}
    expected = {part: (dtype, 1) for part, dtype in sorted(codec.parts.items())}
    if found != expected:
        raise AggregationError(
            f"The encoded update {path.name} must hold the parts of {codec.name}, {_describe(expected)}; found "
            f"{_describe(found)}."
        )
    parts: Parts = {
        name: np.fromfile(path, _DTYPES[tensor.dtype], tensor.size, offset=file.data_start + tensor.offset)
        for name, tensor in file.tensors.items()
    }
    return parts, _heading(file)


def _check_size(path: Path, codec: Codec, limit: int) -> None:
    try:
        with path.open("rb") as stream:
            header, size = int.from_bytes(stream.read(8), "little"), os.fstat(stream.fileno()).st_size
    except OSError as error:
        raise AggregationError(f"The encoded update {path.name} is not readable: {error}.") from error
    if size > limit or header > _LARGEST_HEADER:
        raise AggregationError(
            f"The encoded update {path.name} has {size} bytes and announces a header of {header}; {codec.name} needs "
            f"{limit} at most for this base, with a header of {_LARGEST_HEADER}."
        )


def _heading(file: AdapterFile) -> str:
    with file.path.open("rb") as stream:
        header = json.loads(stream.read(file.data_start)[8:])
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.keys() != {"update"} or not isinstance(metadata["update"], str):
        raise AggregationError(
            f"The encoded update {file.path.name} must say what it is, 'update' in its metadata and nothing else; "
            f"found {metadata!s:.80}."
        )
    return metadata["update"]


def _describe(parts: Mapping[str, tuple[str, int]]) -> str:
    return ", ".join(f"{part[:40]!r} ({dtype}, {axes} axes)" for part, (dtype, axes) in [*parts.items()][:10]) or "none"
