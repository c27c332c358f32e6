"""A round of this project from files on disk: gates, aggregation, the checkpoint's adapter on disk."""

import tempfile
from pathlib import Path
from typing import Any

from atlas_files import gated, round_inputs
from common import Meter, answer

from atlas.aggregation.aggregate import aggregate_files


def work(folder: str, updates: int, settings: dict[str, Any], rank: int = 16, gates: bool = True) -> dict[str, Any]:
    """CPU seconds of the gates and of the aggregation, and the peak of both together."""
    inputs = round_inputs(folder, updates, settings)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        gate, meter = Meter(), Meter()
        if gates:
            with gate.work():
                refused = gated(inputs, rank)
            assert not refused, refused
        with meter.work():
            aggregate_files(inputs, Path(out))
        report = meter.report()
    seconds = {"gates": gate.report()["seconds"], "aggregation": report["seconds"]}
    return report | {"seconds": round(sum(seconds.values()), 4), "inputs": 0.0, "parts": seconds}


if __name__ == "__main__":
    answer(work)
