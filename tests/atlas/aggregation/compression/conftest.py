"""A small base adapter, and updates of it."""

from pathlib import Path

import numpy as np
import pytest

from atlas.aggregation.files.adapter_files import AdapterFile, write_adapter

RANK = 4
SHAPES = {
    "model.q.lora_A.weight": (RANK, 30),
    "model.q.lora_B.weight": (20, RANK),
    "model.v.lora_A.weight": (RANK, 300),
    "model.v.lora_B.weight": (300, RANK),
    "model.head.bias": (2,),
    "model.head.weight": (2, 30),
}


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A base of rank 4."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_adapter(path, {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in SHAPES.items()})
    return path


@pytest.fixture(scope="session")
def read():
    """All tensors of a file."""

    def all_of(path: Path) -> dict[str, np.ndarray]:
        file = AdapterFile(path)
        return {name: file.read(name) for name in file.tensors}

    return all_of


@pytest.fixture(scope="session")
def write_update(base, read):
    """Write an update: random changes of the base's first ranks, without the frozen factor."""

    def write(path: Path, seed: int = 1, frozen: str | None = None, rank: int = RANK, size: float = 1e-3) -> Path:
        rng = np.random.default_rng(seed)
        tensors = {}
        for name, start in read(base).items():
            part = start[:rank] if ".lora_A." in name else start[:, :rank] if ".lora_B." in name else start
            if f".lora_{frozen}." not in name:
                tensors[name] = part + (size * rng.standard_t(4, part.shape)).astype(np.float32)
        write_adapter(path, tensors)
        return path

    return write
