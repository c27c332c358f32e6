"""An outer optimizer's state: one float64 tensor `KIND.TENSOR` for each kind of state and each tensor of the adapter.

Float64, because the state is part of the checkpoint: a resumed job continues with exactly the same numbers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.safetensors_header import render_header
from atlas.aggregation.outer.optimizer import Numbers
from atlas.disk.files import new_file
from atlas.errors import AggregationError

Shapes = Mapping[str, tuple[int, ...]]
_DTYPE = np.dtype("<f8")


class StateFile:
    """A state on disk, with its header read and checked."""

    def __init__(self, path: Path, kinds: Iterable[str], shapes: Shapes) -> None:
        """Raises `AggregationError` when the file is unreadable or does not fit an adapter of these shapes."""
        self._file = AdapterFile(path)
        expected = {name: ("F64", shape) for name, shape in _names(kinds, shapes).items()}
        found = {name: (tensor.dtype, tensor.shape) for name, tensor in self._file.tensors.items()}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise AggregationError(
                    f"The outer optimizer's state {path.name} does not fit the job: expected {name} to be "
                    f"{expected.get(name)}, found {found.get(name)}."
                )

    def read(self, kind: str, name: str) -> Numbers:
        """One kind of state of a tensor, flat."""
        tensor = self._file.tensors[f"{kind}.{name}"]
        return np.fromfile(self._file.path, _DTYPE, tensor.size, offset=self._file.data_start + tensor.offset)

    def write(self, kind: str, name: str, numbers: Numbers) -> None:
        """Replace one kind of state of a tensor."""
        with self._file.path.open("r+b") as stream:
            stream.seek(self._file.data_start + self._file.tensors[f"{kind}.{name}"].offset)
            stream.write(np.ascontiguousarray(numbers, _DTYPE).data)


@contextmanager
def new_state(path: Path, kinds: Iterable[str], shapes: Shapes) -> Iterator[StateFile]:
    """A state of zeros to write into; renamed to `path` on success. Equal states have equal bytes."""
    names = _names(kinds, shapes)
    with new_file(path, AggregationError, durable=False) as part:
        with part.open("wb") as stream:
            stream.write(render_header(names, "F64"))
            stream.truncate(stream.tell() + _DTYPE.itemsize * sum(math.prod(shape) for shape in names.values()))
        yield StateFile(part, kinds, shapes)


def _names(kinds: Iterable[str], shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {f"{kind}.{name}": shapes[name] for kind in sorted(kinds) for name in sorted(shapes)}
