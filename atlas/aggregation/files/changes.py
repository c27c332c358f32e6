"""The change from an update's base, δ = update - base in float32, block by block."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import factor_of

BLOCK = 2**17
"""Numbers at a time: the blocks of update, base and change fit a core's cache together."""

READ = 2 * BLOCK
"""Numbers that are read at a time; smaller reads, each with an open of the file, are slower."""

LARGEST_KEPT = 16 * 2**20
"""The largest base, in numbers, that stays in memory between updates: 64 MiB."""


def change_blocks(update: AdapterFile, base: AdapterFile) -> Iterator[NDArray[np.float32]]:
    """δ in pieces of at most `BLOCK` numbers, in the order of the tensors' names; the next piece overwrites the last.

    The update holds tensors of the base, possibly factors of a lower rank, which change the base's first rows of A and
    columns of B. Raises `AggregationError` for a tensor that is not float32 or that the base lacks.
    """
    names = list(update.tensors)
    same = update.header is base.header or all(
        name in base.tensors and base.tensors[name].shape == update.tensors[name].shape for name in names
    )
    return _by_column(update, base, names) if same else _by_tensor(update, base, names)


def _by_column(update: AdapterFile, base: AdapterFile, names: list[str]) -> Iterator[NDArray[np.float32]]:
    theirs, ours = update.columns(names), base.columns(names)
    kept = _kept(base.path, base.path.stat().st_mtime_ns, tuple(names)) if ours.size <= LARGEST_KEPT else None
    values, buffer = np.empty(READ, np.float32), np.empty(0 if kept is not None else READ, np.float32)
    for first in range(0, theirs.size, READ):
        width = min(READ, theirs.size - first)
        theirs.read(first, values[:width])
        if kept is None:
            ours.read(first, buffer[:width])
        origin = buffer if kept is None else kept[first : first + width]
        for start in range(0, width, BLOCK):
            change = values[start : min(start + BLOCK, width)]
            yield np.subtract(change, origin[start : start + len(change)], out=change)


@lru_cache(maxsize=1)  # a round's updates have one base, and are inspected one after another
def _kept(path: Path, modified: int, names: tuple[str, ...]) -> NDArray[np.float32]:
    columns = AdapterFile(path).columns(names)
    values = np.empty(columns.size, np.float32)
    columns.read(0, values)
    values.flags.writeable = False
    return values


def _by_tensor(update: AdapterFile, base: AdapterFile, names: list[str]) -> Iterator[NDArray[np.float32]]:
    for name in names:
        value, origin = update.read(name), base.read(name)
        if factor_of(name) == "A":
            origin = origin[: value.shape[0]]
        elif factor_of(name) == "B":
            origin = origin[..., : value.shape[-1]]
        change = np.subtract(value, origin, out=value).reshape(-1)
        for start in range(0, len(change), BLOCK):
            yield change[start : start + BLOCK]
