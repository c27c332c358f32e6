"""Code shared by all drivers, which needs only NumPy: arguments, a meter, safetensors files, paths of input files."""

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MODULES = 38 * 2  # of 2048 x 2048 with rank 16: 76 modules are 19.9 MB


class Meter:
    """CPU seconds, and peak megabytes (10^6 bytes) above the process's peak when the meter was created."""

    def __init__(self) -> None:
        self.baseline = _peak()
        self.inputs = 0.0
        self.seconds = 0.0

    @contextmanager
    def work(self) -> Iterator[None]:
        """Measure the block; memory used between the meter's creation and the block counts as inputs."""
        self.inputs = _peak() - self.baseline
        started = time.process_time()
        yield
        self.seconds += time.process_time() - started

    def report(self) -> dict[str, float]:
        """`megabytes` is the peak including inputs in memory, `inputs` the peak before the measured block."""
        return {
            "seconds": round(self.seconds, 4),
            "megabytes": round(_peak() - self.baseline, 1),
            "inputs": round(self.inputs, 1),
        }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def answer(work: Callable[..., dict[str, Any]]) -> None:
    """Run a driver's work on the arguments of the command line and print what it returns."""
    print(json.dumps(work(**json.loads(sys.argv[1]))))


def weight_of(number: int) -> int:
    """The weight of an update: the number of rows of its shard."""
    return 100 + 37 * number % 400


def update_path(folder: str, number: int) -> Path:
    """The file of an update."""
    return Path(folder) / f"update-{number:04d}.safetensors"


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a float32 safetensors file, sorted by name."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items()):
        start, shape = 8 + size + entry["data_offsets"][0], entry["shape"]
        tensors[name] = np.fromfile(path, np.float32, math.prod(shape), offset=start).reshape(shape)
    return tensors


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a float32 safetensors file in the format of the project's adapters."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name in sorted(tensors):
        size = 4 * tensors[name].size
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[name], np.float32).tobytes())
