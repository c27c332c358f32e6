"""Access to adapter files (safetensors) by tensor, or as one long row of columns.

Reads go into reused buffers instead of a memory map, because mapped pages count towards the process's memory. No
descriptor stays open, so a round may have more updates than the limit of open files.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.factors import LoraModule, factor_of, lora_modules
from atlas.aggregation.files.safetensors_header import (
    LARGEST_HEADER,
    Header,
    TensorInfo,
    parse_header,
    render_header,
    row_of,
)
from atlas.disk.files import new_file
from atlas.errors import AggregationError

_BLOCK = 65536


class AdapterFile:
    """One safetensors file, with its header read and checked."""

    def __init__(self, path: Path) -> None:
        """Raises `AggregationError` when the file is missing, truncated, or not valid safetensors."""
        self.path = path
        try:
            self.header, self.data_start = _read_header(path)
        except (AggregationError, OSError) as error:
            raise AggregationError(f"{path.name} is not a readable safetensors file: {error}.") from error

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """By name, sorted."""
        return self.header.tensors

    @property
    def size(self) -> int:
        """How many numbers the file holds."""
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def modules(self) -> list[LoraModule]:
        """The modules whose LoRA factors it holds; raises `AggregationError` as `factor_of` does."""
        return lora_modules(self.tensors)

    @property
    def ordinary(self) -> list[str]:
        """The tensors that are not LoRA factors; raises `AggregationError` as `factor_of` does."""
        return [name for name in self.tensors if factor_of(name) is None]

    def columns(self, names: Iterable[str] | None = None) -> "Columns":
        """The numbers of these tensors (else of all) as one row; raises `AggregationError` unless all are float32."""
        return Columns(self, sorted(self.tensors if names is None else names))

    def read(self, name: str) -> NDArray[np.float32]:
        """One tensor; raises `AggregationError` when the file has none of that name in float32."""
        columns = self.columns([name])
        values = np.empty(columns.size, np.float32)
        columns.read(0, values)
        return values.reshape(self.tensors[name].shape)


class Columns:
    """The numbers of some tensors of a file as one row, in the order of the tensors' names."""

    def __init__(self, file: AdapterFile, names: list[str]) -> None:
        self.path = file.path
        self.names = names
        self._data_start = file.data_start
        try:
            self._row = row_of(file.header, tuple(names))
        except AggregationError as error:
            raise AggregationError(f"{file.path.name}: {error}.") from error

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self._row.size

    def read(self, start: int, out: NDArray[np.float32]) -> None:
        """Fill `out` (contiguous) with the numbers from column `start` on."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for byte, part in self._parts(start, out.data.cast("B")):
                _read_fully(descriptor, byte, part, self.path)
        finally:
            os.close(descriptor)

    def write(self, start: int, values: NDArray[np.float32]) -> None:
        """Write `values` (contiguous) from column `start` on."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for byte, part in self._parts(start, values.data.cast("B")):
                _write_fully(descriptor, byte, part)
        finally:
            os.close(descriptor)

    def _parts(self, start: int, buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The buffer cut into pieces that are contiguous in the file, each with its byte offset in the file."""
        stop = start + buffer.nbytes // 4
        for first, end, byte in self._row.segments:
            lower, upper = max(first, start), min(end, stop)
            if lower < upper:
                yield self._data_start + byte + 4 * (lower - first), buffer[4 * (lower - start) : 4 * (upper - start)]

    def first_not_finite(self, start: int, width: int) -> int | None:
        """The first of `width` columns from `start` on that holds NaN or infinity."""
        values = np.empty(min(width, _BLOCK), np.float32)
        for first in range(start, start + width, _BLOCK):
            part = values[: min(_BLOCK, start + width - first)]
            self.read(first, part)
            bad = ~np.isfinite(part)
            if bad.any():
                return first + int(bad.argmax())
        return None

    def name_at(self, column: int) -> str:
        """The tensor that a column belongs to."""
        for name, size in zip(self.names, self._row.sizes, strict=True):
            if column < size:
                return name
            column -= size
        raise IndexError(f"Column {column} is beyond the last tensor of {self.path.name}.")


@contextmanager
def new_adapter(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[AdapterFile]:
    """A file of zeros in the canonical layout, to write columns into; renamed to `path` on success."""
    header = render_header(shapes)
    with new_file(path, AggregationError, durable=False) as part:
        with part.open("wb") as file:
            file.write(header)
            file.truncate(len(header) + 4 * sum(math.prod(shape) for shape in shapes.values()))
        yield AdapterFile(part)


def write_adapter(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write tensors with the same bytes as `safetensors` writes for sorted tensors with PyTorch's metadata."""
    with new_adapter(path, {name: tensor.shape for name, tensor in tensors.items()}) as file:
        for name, tensor in tensors.items():
            file.columns([name]).write(0, np.ascontiguousarray(tensor, np.float32).reshape(-1))


def _read_header(path: Path) -> tuple[Header, int]:
    """A file's header, and where its data starts."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        file_bytes = os.fstat(descriptor).st_size
        header_bytes = int.from_bytes(os.pread(descriptor, 8, 0), "little")
        if file_bytes < 8 or header_bytes > min(LARGEST_HEADER, file_bytes - 8):
            raise AggregationError(f"its first 8 bytes announce a header of {header_bytes} bytes")
        return parse_header(os.pread(descriptor, header_bytes, 8), file_bytes - 8 - header_bytes), 8 + header_bytes
    finally:
        os.close(descriptor)


def _read_fully(descriptor: int, byte: int, part: memoryview, path: Path) -> None:
    while part.nbytes:
        count = os.preadv(descriptor, [part], byte)
        if count == 0:
            raise AggregationError(f"{path.name} became shorter while it was read; fetch it again.")
        byte, part = byte + count, part[count:]


def _write_fully(descriptor: int, byte: int, part: memoryview) -> None:
    while part.nbytes:
        count = os.pwrite(descriptor, part, byte)
        byte, part = byte + count, part[count:]
