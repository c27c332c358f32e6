"""Check that the files of a round fit together before computing from them."""

from collections.abc import Sequence
from pathlib import Path

from atlas.aggregation.files.adapter_files import AdapterFile
from atlas.aggregation.files.factors import factor_of
from atlas.errors import AggregationError


def fitting_files(base: AdapterFile, updates: Sequence[Path], *, mixed_ranks: bool = False) -> list[AdapterFile]:
    """Open the updates and check that all have the same tensors, in the shapes of the base (with `mixed_ranks`, LoRA
    factors may have a lower rank).

    Raises `AggregationError`, which names the first file and tensor that do not fit.
    """
    files = [AdapterFile(path) for path in updates]
    for file in files:
        if file.header is files[0].header and file is not files[0]:
            continue
        only_one = sorted(file.tensors.keys() ^ files[0].tensors.keys())
        if only_one:
            raise AggregationError(
                f"{file.path.name} and {files[0].path.name} must hold the same tensors; only one has {only_one[0]}."
            )
        for name, tensor in file.tensors.items():
            expected = base.tensors.get(name)
            if expected is None:
                raise AggregationError(f"{file.path.name}: {name} is not among the tensors of the base.")
            if not _fits(name, tensor.shape, expected.shape, mixed_ranks):
                raise AggregationError(
                    f"{file.path.name}: {name} is {list(tensor.shape)}, expected {list(expected.shape)}."
                )
    return files


def _fits(name: str, found: tuple[int, ...], expected: tuple[int, ...], mixed_ranks: bool) -> bool:
    factor = factor_of(name)
    if not mixed_ranks or factor is None or len(found) != 2 or len(expected) != 2:
        return found == expected
    rank, width = (0, 1) if factor == "A" else (1, 0)
    return found[width] == expected[width] and found[rank] <= expected[rank]
