"""This project's exact merge of adapters, from files on disk to a file on disk."""

import tempfile
from pathlib import Path
from typing import Any

from atlas_files import round_inputs
from common import Meter, answer, read_tensors, write_tensors

from atlas.aggregation.aggregate import aggregate_files


def work(folder: str, updates: int, scaling: float, strategy: str, out: str) -> dict[str, Any]:
    """Merge and write the result to `out` with the scaling multiplied into B, as in the peer's result."""
    inputs = round_inputs(folder, updates, {"strategy": strategy, "robust": "none"}, scaling)
    with tempfile.TemporaryDirectory(dir=folder) as files:
        meter = Meter()
        with meter.work():
            found = aggregate_files(inputs, Path(files))
        report = meter.report()
        if found.merged:
            tensors, factor = read_tensors(found.merged), 1.0
        else:
            tensors, factor = read_tensors(found.adapter), scaling
    write_tensors(Path(out), {name: one * (factor if ".lora_B." in name else 1.0) for name, one in tensors.items()})
    return report


if __name__ == "__main__":
    answer(work)
