"""Adapters of three small tensors for outer optimizers to move."""

from pathlib import Path

import numpy as np
import pytest

from atlas.aggregation.files.adapter_files import AdapterFile, write_adapter

A, B, HEAD = "layer.q.lora_A.weight", "layer.q.lora_B.weight", "model.head.weight"
SHAPES = {A: (3, 5), B: (4, 3), HEAD: (2, 4)}


@pytest.fixture
def tensors():
    """Random float32 tensors by name."""

    def make(seed: int, size: float = 1.0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {name: (size * rng.normal(size=shape)).astype(np.float32) for name, shape in SHAPES.items()}

    return make


@pytest.fixture
def read():
    """All tensors of a file."""

    def all_of(path: Path) -> dict[str, np.ndarray]:
        file = AdapterFile(path)
        return {name: file.read(name) for name in file.tensors}

    return all_of


@pytest.fixture
def rounds(tmp_path, tensors, read):
    """Run rounds from a base, each with the given change on top of it; returns the folder of each round."""
    from atlas.aggregation.outer.apply import apply_outer

    def run(spec, changes, start=None, frozen=lambda number: None, name="run"):
        base, state = start or (tmp_path / "base.safetensors", None)
        if start is None:
            write_adapter(base, tensors(0))
        done = []
        for number, change in enumerate(changes):
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            combined = {key: value + change.get(key, np.float32(0)) for key, value in read(base).items()}
            write_adapter(folder / "combined.safetensors", combined)
            base, state = apply_outer(spec, base, folder / "combined.safetensors", state, folder, frozen(number))
            done.append((base, state))
        return done

    return run
