"""No training run moves an adapter farther than the bound says, and none that lies by much stays within it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from atlas.documents.manifests import ModelManifest
from atlas.spec.job import JobSpec, TrainingSpec
from atlas.training.reach import farthest, usual_reach
from atlas.training.train import TrainRequest, train

ODD = [
    {"steps": 1, "learning_rate": 1.0, "warmup_steps": 0},
    {"steps": 12, "learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 0.0},
    {"steps": 7, "learning_rate": 1e-8, "weight_decay": 3.0},
    {"steps": 6, "learning_rate": 0.5, "weight_decay": 5.0, "warmup_steps": 4, "schedule": "linear"},
    {"steps": 5, "learning_rate": 1e-2, "proximal": 100.0, "max_grad_norm": 1e-6},
    {"steps": 5, "learning_rate": 1e-2, "max_grad_norm": 1e9, "precision": "bf16"},
]


def length(tensors: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(values, dtype=np.float64).sum() for values in tensors.values())))


def trained_change(
    spec: JobSpec, model: ModelManifest, shard: Path, base: Path, work: Path, cache: Path
) -> dict[str, np.ndarray]:
    """What real training changes of a base, by tensor."""
    request = TrainRequest(
        spec=spec, model=model, shard=shard, base_adapter=base, seed=7, work=work, cache=cache, device="cpu"
    )
    result = train(request, lambda progress: None, lambda step, path: None, lambda: False)
    assert result.adapter is not None
    before, after = load_file(base), load_file(result.adapter)
    return {name: values.astype(np.float64) - before[name] for name, values in after.items()}


@pytest.mark.parametrize("task", ["sequence-classification", "causal-lm"])
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd['steps']} at {odd['learning_rate']:g}")
@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["untrained", "a long way"])
def test_real_training_stays_within_reach(
    task: str,
    odd: dict[str, object],
    scale: float,
    tmp_path: Path,
    cache: Path,
    shard: Path,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
) -> None:
    spec = spec_of(task, **odd)
    before = {name: (scale * values).astype(np.float32) for name, values in load_file(untrained(spec)).items()}
    base = tmp_path / "base.safetensors"
    save_file(before, base)
    change = trained_change(spec, manifest_of[task], shard, base, tmp_path, cache)
    numbers = sum(values.size for values in change.values())
    reach = farthest(spec.training, numbers, length(before))
    assert length(change) <= reach
    noise = 1e6 * np.random.default_rng(1).normal(size=numbers)
    assert np.linalg.norm(noise) > reach


@pytest.mark.parametrize("task", ["sequence-classification", "causal-lm"])
def test_real_training_of_many_steps_stays_within_the_usual_reach_in_each_round(
    task: str,
    tmp_path: Path,
    cache: Path,
    shard: Path,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
) -> None:
    """Ten rows without dropout: gradients that agree for as long as there is something to learn."""
    spec = spec_of(task, dropout=0.0, steps=400, batch_size=10, gradient_accumulation=1, learning_rate=1e-3)
    base = untrained(spec)
    for number in (1, 2, 3):
        tensors = load_file(base)
        change = trained_change(spec, manifest_of[task], shard, base, tmp_path / str(number), cache)
        numbers = sum(values.size for values in change.values())
        usual = usual_reach(spec.training, numbers, length(tensors))
        assert 0 < length(change) <= usual
        assert 1.4 * usual < farthest(spec.training, numbers, length(tensors))
        base = tmp_path / f"{number}.safetensors"
        save_file({name: (values + change[name]).astype(np.float32) for name, values in tensors.items()}, base)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 60),
    rate=st.sampled_from([1e-6, 1e-3, 0.1]),
    growth=st.floats(0.2, 5),
    decay=st.sampled_from([0.0, 0.01, 2.0]),
)
def test_the_optimizer_itself_stays_within_reach_whatever_the_gradients_are(seed, steps, rate, growth, decay):
    """Gradients that grow or shrink from step to step are the worst for AdamW's two moments."""
    training = TrainingSpec(steps=steps, learning_rate=rate, weight_decay=decay)
    rng = np.random.default_rng(seed)
    start = torch.tensor(rng.normal(size=(4, 8)), dtype=torch.float32)
    parameter = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.AdamW([parameter], lr=rate, weight_decay=decay)
    for step in range(steps):
        gradient = np.abs(rng.normal(size=(4, 8))) if seed % 2 else rng.normal(size=(4, 8))
        parameter.grad = torch.tensor(gradient * growth ** (step - steps / 2), dtype=torch.float32)
        optimizer.step()
    moved = float((parameter.detach().double() - start.double()).norm())
    assert moved <= farthest(training, 32, float(start.double().norm()))


@settings(max_examples=30, deadline=None)
@given(steps=st.integers(1, 3000), rate=st.floats(1e-6, 1))
def test_the_bound_is_a_few_times_what_constant_gradients_move(steps, rate):
    constant = rate * steps * 4  # each of 16 numbers moves by the rate in every step
    training = TrainingSpec(steps=steps, learning_rate=rate)
    assert constant <= farthest(training, 16, 0.0) <= 7.4 * constant
    assert constant <= usual_reach(training, 16, 0.0) <= min(2.03 * constant, farthest(training, 16, 0.0))
