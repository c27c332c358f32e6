"""The change of an update per tensor, in float32: update - base + the residual of earlier updates."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.compression.codec import Change
from atlas.aggregation.compression.layout import Shapes, UpdateLayout
from atlas.aggregation.files.adapter_files import AdapterFile, new_adapter
from atlas.errors import AggregationError


class Changes:
    """An update with its base and the residual of the same shard."""

    def __init__(self, update: AdapterFile, base: AdapterFile, residual: Path | None) -> None:
        """Raises `AggregationError` when the three do not fit together."""
        self.layout = UpdateLayout.of(shapes_of(update), shapes_of(base))
        self.names = list(update.tensors)
        self._update, self._base = update, base
        self._residual = AdapterFile(residual) if residual else None
        self._residual_shapes = shapes_of(self._residual) if self._residual else {}
        expected = UpdateLayout(self.layout.rank).shapes(shapes_of(base))
        for name, shape in self._residual_shapes.items():
            if shape != expected.get(name):
                raise AggregationError(
                    f"The residual's {name} is {list(shape)}, the update's base has {expected.get(name)}: it belongs "
                    "to another job or another rank. Remove the residual to continue without it."
                )

    def of(self, name: str) -> Change:
        """The change of a tensor, flat; raises `AggregationError` when it is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            new = self._update.read(name)
            change = (new - part_of(self._base, name, new.shape) + self._left_over(name)).reshape(-1)
        if not np.isfinite(change).all():
            raise AggregationError("it changed by NaN or more than float32 holds.")
        return change

    def write_rest(self, sent: AdapterFile, path: Path) -> None:
        """Write the new residual: the changes that `sent` lacks, and the old residual of untrained tensors."""
        shapes = dict(sorted({**self._residual_shapes, **shapes_of(self._update)}.items()))
        with new_adapter(path, shapes) as file:
            for name in shapes:
                rest = self._rest(sent, name) if name in self._update.tensors else self._left_over(name)
                file.columns([name]).write(0, np.asarray(rest, np.float32).reshape(-1))

    def _rest(self, sent: AdapterFile, name: str) -> Change:
        travelled = sent.read(name)
        travelled -= part_of(self._base, name, travelled.shape)
        return self.of(name) - travelled.reshape(-1)

    def _left_over(self, name: str) -> NDArray[np.float32] | np.float32:
        if self._residual is None or name not in self._residual_shapes:
            return np.float32(0)
        return self._residual.read(name)


def shapes_of(file: AdapterFile) -> Shapes:
    """The shapes of a file's tensors, by name."""
    return {name: tensor.shape for name, tensor in file.tensors.items()}


def part_of(base: AdapterFile, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The base's tensor, or its first rows or columns."""
    return np.ascontiguousarray(base.read(name)[tuple(slice(length) for length in shape)])
