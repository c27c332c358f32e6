"""A strategy's bytes depend on the round alone: on no thread, process or folder, and mostly on no machine."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from atlas.aggregation.strategies import qr_svd
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.aggregation.strategies.strategy import Combination
from tests.support.paths import REPOSITORY

WIDTH, RANK, NODES = 600, 8, 30  # so large that BLAS sums in another order where it may use two threads
OLD_MACHINE = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4", "OPENBLAS_CORETYPE": "Prescott"}
PINNED = {
    "fedavg": "88a7e9c93b8d8f80",
    "ffa": "26ebcb7665f064c4",
    "rolora": "26ebcb7665f064c4",
    "stack": "4956faf5a421fbcd",
    "fedex": "d1ca144a6a28e50e",
}


class Observed(qr_svd.ProductSum):
    """Notes the float64 results, where rounding to float32 would hide most differences."""

    found = hashlib.sha256()

    def best(self, rank):
        directions = super().best(rank)
        for part in (directions.left, directions.values, directions.right):
            self.found.update(np.ascontiguousarray(part).tobytes())
        return directions


def write_round(folder: Path, frozen: str | None) -> Combination:
    random = np.random.RandomState(0)  # whose stream NumPy has frozen
    shapes = {"m.lora_A.weight": (RANK, WIDTH), "m.lora_B.weight": (WIDTH, RANK), "m.head": (3, WIDTH)}
    paths = [folder / f"file{number}" for number in range(NODES + 1)]
    for path in paths:
        kept = [name for name in shapes if path is paths[0] or frozen is None or f".lora_{frozen}." not in name]
        tensors = {name: (random.randint(-9999, 9999, shapes[name]) / 7000).astype(np.float32) for name in kept}
        save_file(tensors, path, {"format": "pt"})
    return Combination(paths[0], tuple(paths[1:]), (0.9 / NODES,) * NODES, 1.7, "seed")


def digests(folder: Path) -> dict[str, str]:
    qr_svd.ProductSum = Observed
    found = {}
    for name, strategy in STRATEGIES.items():
        (folder / name).mkdir(parents=True)
        made = strategy.combine(write_round(folder / name, strategy.frozen_factor(1)), folder / name)
        data = made.adapter.read_bytes() + (made.merged.read_bytes() if made.merged else b"")
        found[name] = hashlib.sha256(data).hexdigest()
    return found | {"qr-svd in float64": Observed.found.hexdigest()}


def elsewhere(folder: Path, threads: int, machine: dict[str, str]) -> dict[str, str]:
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env={**os.environ, **limits, **machine, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory):
    return elsewhere(tmp_path_factory.mktemp("one"), 1, {})


def test_two_threads_give_the_same_bytes(one_thread, tmp_path):
    assert elsewhere(tmp_path, 2, {}) == one_thread


def test_an_old_machine_gives_the_same_bytes(one_thread, tmp_path):
    old = elsewhere(tmp_path, 1, OLD_MACHINE)
    exact = [name for name in STRATEGIES if name != "qr-svd"]
    assert {name: old[name] for name in exact} == {name: one_thread[name] for name in exact}


def test_the_bytes_never_change(one_thread):
    found = {name: digest[:16] for name, digest in one_thread.items() if not name.startswith("qr-svd")}
    assert found == PINNED


if __name__ == "__main__":
    print(json.dumps(digests(Path(sys.argv[1]))))
