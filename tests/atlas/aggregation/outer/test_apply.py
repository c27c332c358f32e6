"""The state in the checkpoint, factors that a round froze, and files that do not fit."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from atlas.aggregation.files.adapter_files import write_adapter
from atlas.aggregation.outer.apply import apply_outer
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.outer.settings import OuterSpec
from atlas.errors import AggregationError

A, B, HEAD = "layer.q.lora_A.weight", "layer.q.lora_B.weight", "model.head.weight"

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@every_optimizer
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(optimizer, rounds, tensors, tmp_path):
    spec, changes = OuterSpec(optimizer=optimizer), [tensors(seed, 0.1) for seed in range(1, 7)]
    whole = rounds(spec, changes, name="whole")
    stopped = rounds(spec, changes[:3], name="stopped")[-1]
    moved = tuple(tmp_path / f"fetched-{part}" for part in ("adapter", "state"))
    for source, target in zip(stopped, moved, strict=True):
        target.write_bytes(source.read_bytes())
    resumed = rounds(spec, changes[3:], start=moved, name="resumed")
    assert [path.read_bytes() for path in resumed[-1]] == [path.read_bytes() for path in whole[-1]]
    forgot = rounds(spec, changes[3:], start=(moved[0], None), name="forgot")
    assert forgot[-1][0].read_bytes() != whole[-1][0].read_bytes()


@every_optimizer
def test_files_have_canonical_bytes(optimizer, rounds, tensors):
    [(adapter, state)] = rounds(OuterSpec(optimizer=optimizer), [tensors(1)])
    for path, dtype in ((adapter, np.float32), (state, np.float64)):
        found = load_file(path)
        assert {tensor.dtype for tensor in found.values()} == {np.dtype(dtype)}
        assert path.read_bytes() == save(dict(sorted(found.items())), {"format": "pt"})
    assert sorted(load_file(state)) == sorted(
        f"{kind}.{name}" for kind in OPTIMIZERS[optimizer].state for name in (A, B, HEAD)
    )


@every_optimizer
def test_a_frozen_factor_keeps_its_numbers_and_its_state(optimizer, rounds, tensors, read):
    changes = [{key: value for key, value in tensors(seed).items() if key != (A, B)[seed % 2]} for seed in range(4)]
    frozen = [("A", "B")[seed % 2] for seed in range(4)]
    done = rounds(OuterSpec(optimizer=optimizer), changes, frozen=lambda number: frozen[number])
    for number in range(1, 4):
        (old, old_state), (new, new_state) = done[number - 1 : number + 1]
        still, moving = ((A, B), (B, A))[number % 2]
        assert read(old)[still].tobytes() == read(new)[still].tobytes()
        assert read(old)[moving].tobytes() != read(new)[moving].tobytes()
        for kind in OPTIMIZERS[optimizer].state:
            before, after = load_file(old_state), load_file(new_state)
            assert before[f"{kind}.{still}"].tobytes() == after[f"{kind}.{still}"].tobytes()
            assert before[f"{kind}.{moving}"].tobytes() != after[f"{kind}.{moving}"].tobytes()
            assert before[f"{kind}.{HEAD}"].tobytes() != after[f"{kind}.{HEAD}"].tobytes()


@every_optimizer
def test_without_that_word_the_momentum_would_move_it(optimizer, rounds, tensors, read):
    changes = [tensors(1), {B: tensors(2)[B]}]
    (old, _), (new, _) = rounds(OuterSpec(optimizer=optimizer), changes)
    assert read(old)[A].tobytes() != read(new)[A].tobytes()


def _state(path, drop=None, **changed):
    state = {f"momentum.{name}": np.zeros(shape) for name, shape in ((A, (3, 5)), (B, (4, 3)), (HEAD, (2, 4)))}
    state |= {name.replace("__", "."): value for name, value in changed.items()}
    save_file({name: value for name, value in state.items() if name != drop}, path)
    return path


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda path: _state(path, drop=f"momentum.{B}"), f"momentum.{B}"),
        (lambda path: _state(path, second__extra=np.zeros(3)), "second.extra"),
        (lambda path: save_file({f"momentum.{A}": np.zeros((5, 3))}, path), f"momentum.{A}"),
        (lambda path: save_file({f"momentum.{A}": np.zeros((3, 5), np.float32)}, path), "F32"),
        (lambda path: path.write_bytes(b"\x08"), "state"),
        (lambda path: path.write_bytes(_state(path).read_bytes()[:-1]), "state"),
        (lambda path: None, "state"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(write, named, tensors, tmp_path):
    base = tmp_path / "base"
    write_adapter(base, tensors(0))
    write(tmp_path / "state")
    with pytest.raises(AggregationError, match=named):
        apply_outer(OuterSpec(optimizer="nesterov"), base, base, tmp_path / "state", tmp_path)
    assert not (tmp_path / "moved.safetensors").exists()
    assert not (tmp_path / "optimizer.safetensors").exists()


def test_the_state_of_another_optimizer_is_refused(rounds, tensors):
    [start] = rounds(OuterSpec(optimizer="adam"), [tensors(1)])
    with pytest.raises(AggregationError, match="second"):
        rounds(OuterSpec(optimizer="nesterov"), [tensors(2)], start=start, name="other")


def test_a_state_with_nan_is_refused(tensors, tmp_path):
    base = tmp_path / "base"
    write_adapter(base, tensors(0))
    state = _state(tmp_path / "state", **{f"momentum.{B}": np.full((4, 3), np.nan)})
    with pytest.raises(AggregationError, match=B):
        apply_outer(OuterSpec(optimizer="nesterov"), base, base, state, tmp_path)


@pytest.mark.parametrize("other", [{A: (3, 5), B: (4, 3)}, {A: (2, 5), B: (4, 2), HEAD: (2, 4)}])
def test_an_aggregate_of_other_shapes_is_refused(other, tensors, tmp_path):
    write_adapter(tmp_path / "base", tensors(0))
    write_adapter(tmp_path / "combined", {name: np.zeros(shape, np.float32) for name, shape in other.items()})
    with pytest.raises(AggregationError, match=r"does not fit its base.*expected"):
        apply_outer(OuterSpec(optimizer="yogi"), tmp_path / "base", tmp_path / "combined", None, tmp_path)


def test_a_step_beyond_float32_is_refused(tensors, tmp_path):
    write_adapter(tmp_path / "base", tensors(0))
    write_adapter(tmp_path / "combined", tensors(1, 1e5))
    with pytest.raises(AggregationError, match=r"nesterov moves .*lora_A.*learning_rate"):
        spec = OuterSpec(optimizer="nesterov", learning_rate=1e38)
        apply_outer(spec, tmp_path / "base", tmp_path / "combined", None, tmp_path)


def test_no_optimizer_cannot_be_applied(tensors, tmp_path):
    write_adapter(tmp_path / "base", tensors(0))
    with pytest.raises(AggregationError, match="nesterov, adam, yogi"):
        apply_outer(OuterSpec(), tmp_path / "base", tmp_path / "base", None, tmp_path)


def test_every_process_writes_the_same_bytes(tensors, tmp_path):
    write_adapter(tmp_path / "base", tensors(0))
    write_adapter(tmp_path / "combined", tensors(1))
    program = (
        "import sys; from pathlib import Path\n"
        "from atlas.aggregation.outer.apply import apply_outer\n"
        "from atlas.aggregation.outer.settings import OuterSpec\n"
        "folder = Path(sys.argv[1]); out = Path(sys.argv[2]); out.mkdir()\n"
        "apply_outer(OuterSpec(optimizer='yogi'), folder / 'base', folder / 'combined', None, out)\n"
        "assert 'torch' not in sys.modules\n"
    )
    found = set()
    for seed in ("1", "2"):
        out = tmp_path / f"process-{seed}"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed}
        subprocess.run([sys.executable, "-c", program, tmp_path, out], check=True, env=environment)
        found.add((out / "moved.safetensors").read_bytes() + (out / "optimizer.safetensors").read_bytes())
    assert len(found) == 1
