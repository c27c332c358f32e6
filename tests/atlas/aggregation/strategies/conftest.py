"""Small rounds on disk, and what strategies make of them, beside a dense reference in float64."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.aggregation.strategies.strategy import Combination

SIZES = {"model.layer.0.query": (11, 7), "model.layer.1.value": (5, 13)}
HEAD = "model.classifier.weight"
Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Round:
    """A base, updates and their coefficients, in memory."""

    base: Tensors
    updates: list[Tensors]
    coefficients: list[float]
    scaling: float = 1.5

    def exact(self) -> Tensors:
        """What the model's weights must change by: ΔW* per module, formed, and the mean of the head."""
        shares = [*self.coefficients, 1 - sum(self.coefficients)]
        files = [*self.updates, self.base]
        found = {
            module: self.scaling
            * sum(share * self.whole_product(file, module) for share, file in zip(shares, files, strict=True))
            for module in SIZES
        }
        found[HEAD] = sum(share * file[HEAD].astype(np.float64) for share, file in zip(shares, files, strict=True))
        return found

    def whole_product(self, file: Tensors, module: str) -> np.ndarray:
        """B·A of a file, with the directions of the base that it did not train."""
        rank = len(file[f"{module}.lora_A.weight"])
        left, right = self.base[f"{module}.lora_B.weight"][:, rank:], self.base[f"{module}.lora_A.weight"][rank:]
        return product(file, module) + left.astype(np.float64) @ right.astype(np.float64)

    def mean(self) -> Tensors:
        """base + Σ cᵢ·(updateᵢ - base), for the tensors that the updates have."""
        wide = {name: part.astype(np.float64) for name, part in self.base.items()}
        for update, share in zip(self.updates, self.coefficients, strict=True):
            for name, part in update.items():
                wide[name] = wide[name] + share * (part.astype(np.float64) - self.base[name])
        return wide


@dataclass(frozen=True)
class Outcome:
    """What a strategy wrote."""

    adapter: Tensors
    merged: Tensors | None
    scaling: float
    files: tuple[bytes, ...] = field(repr=False)

    def change(self) -> Tensors:
        """What the model's weights change by: adapter and merged factors together, and the head."""
        found = {module: self.scaling * product(self.adapter, module) for module in SIZES}
        for module in SIZES if self.merged is not None else ():
            found[module] = found[module] + product(self.merged, module)
        return found | {HEAD: self.adapter[HEAD].astype(np.float64)}


def product(file: Tensors, module: str) -> np.ndarray:
    return file[f"{module}.lora_B.weight"].astype(np.float64) @ file[f"{module}.lora_A.weight"].astype(np.float64)


class Laboratory:
    """Makes rounds and has strategies combine them."""

    def __init__(self, folder: Path) -> None:
        self._folders = (folder / str(number) for number in itertools.count())

    def adapter(self, rng: np.random.Generator, rank: int, size: float = 1.0) -> Tensors:
        tensors: Tensors = {HEAD: rng.normal(0, size, (2, 6)).astype(np.float32)}
        for module, (out, in_) in SIZES.items():
            tensors[f"{module}.lora_A.weight"] = rng.normal(0, size, (rank, in_)).astype(np.float32)
            tensors[f"{module}.lora_B.weight"] = rng.normal(0, size, (out, rank)).astype(np.float32)
        return tensors

    def round(self, seed: int = 0, ranks: tuple[int, ...] = (3, 3, 3, 3), rank: int = 3, left: float = 0.2,
              drift: float = 0.5, frozen: str | None = None) -> Round:  # fmt: skip
        """Updates of the given ranks that drifted away from the base, which keeps the share `left`."""
        rng = np.random.default_rng(seed)
        base = self.adapter(rng, rank)
        updates = [self._drifted(rng, base, one, drift, frozen) for one in ranks]
        weights = rng.integers(1, 100, len(ranks)).astype(np.float64)
        return Round(base, updates, list(weights / weights.sum() * (1 - left)))

    def _drifted(self, rng, base: Tensors, rank: int, drift: float, frozen: str | None) -> Tensors:
        noise = self.adapter(rng, rank, drift)
        kept = [name for name in base if frozen is None or f".lora_{frozen}." not in name]
        return {name: (noise[name] + base[name][_first(name, rank)]).astype(np.float32) for name in kept}

    def combine(self, strategy: str, round_: Round, seed: str = "seed") -> Outcome:
        folder = next(self._folders)
        folder.mkdir()
        paths = [self.write(folder / f"update{index}", file) for index, file in enumerate(round_.updates)]
        base = self.write(folder / "base", round_.base)
        combination = Combination(base, tuple(paths), tuple(round_.coefficients), round_.scaling, seed)
        made = STRATEGIES[strategy].combine(combination, folder)
        files = [made.adapter, *([made.merged] if made.merged else [])]
        return Outcome(
            adapter=load_file(made.adapter),
            merged=load_file(made.merged) if made.merged else None,
            scaling=round_.scaling,
            files=tuple(file.read_bytes() for file in files),
        )

    def write(self, path: Path, tensors: Tensors) -> Path:
        save_file({name: np.ascontiguousarray(part) for name, part in tensors.items()}, path, {"format": "pt"})
        return path


def _first(name: str, rank: int) -> slice | tuple[slice, slice]:
    if ".lora_A." in name:
        return slice(rank)
    return (slice(None), slice(rank)) if ".lora_B." in name else slice(None)


def assert_close(found: Tensors, expected: Tensors, tolerance: float = 2e-6) -> None:
    """Equal up to the rounding of float32, measured against the size of each tensor."""
    assert found.keys() == expected.keys()
    for name in expected:
        error = np.linalg.norm(found[name] - expected[name])
        assert error <= tolerance * np.linalg.norm(expected[name]) + 1e-12, f"{name}: {error}"


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("strategies"))


@pytest.fixture(scope="session")
def close():
    return assert_close
