from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from atlas.manifests import ModelManifest
from atlas.spec import JobSpec
from atlas.training.adapters import build_adapted_model, save_adapter
from atlas.training.initialize import initialize


@pytest.mark.parametrize("task", ["sequence-classification", "causal-lm"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_is_the_adapter_that_the_model_is_built_with(
    task: str,
    precision: str,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    cache: Path,
    tmp_path: Path,
) -> None:
    spec = spec_of(task, precision=precision)
    torch.rand(3)  # whatever the process did before
    found = initialize(spec, manifest_of[task], cache, tmp_path / "found.safetensors", threads=1)
    model = build_adapted_model(spec, manifest_of[task], cache, torch.device("cpu"), spec.training.precision).model
    save_adapter(model, tmp_path / "expected.safetensors")
    assert (tmp_path / "found.safetensors").read_bytes() == (tmp_path / "expected.safetensors").read_bytes()
    assert found.precision == precision
