import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from atlas.documents.manifests import ModelManifest
from atlas.errors import ModelError, TrainingError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import (
    AdaptedModel,
    adapter_parameters,
    build_adapted_model,
    load_adapter,
    save_adapter,
)

TASKS = ["sequence-classification", "causal-lm"]


@pytest.fixture
def build(
    spec_of: Callable[..., JobSpec], manifest_of: dict[str, ModelManifest], cache: Path
) -> Callable[..., AdaptedModel]:
    def make(task: str, **training: object) -> AdaptedModel:
        spec = spec_of(task, **training)
        return build_adapted_model(spec, manifest_of[task], cache, torch.device("cpu"), spec.training.precision)

    return make


@pytest.mark.parametrize("task", TASKS)
def test_names_and_values_are_pefts(task: str, build: Callable[..., AdaptedModel]) -> None:
    model = build(task).model
    ours = adapter_parameters(model)
    theirs = get_peft_model_state_dict(model, save_embedding_layers=False)
    assert list(ours) == sorted(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_classification_head_trains_and_is_in_the_file(build: Callable[..., AdaptedModel], tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    save_adapter(build("sequence-classification").model, path)
    tensors = load_file(path)
    assert tensors["base_model.model.classifier.weight"].shape == (2, 32)
    assert tensors["base_model.model.classifier.bias"].shape == (2,)
    assert sum(".lora_A.weight" in name for name in tensors) == 4


@pytest.mark.parametrize("task", TASKS)
def test_the_untrained_adapter_is_defined_by_the_seed(
    task: str, build: Callable[..., AdaptedModel], tmp_path: Path
) -> None:
    def written(name: str, **training: object) -> bytes:
        torch.rand(7)  # whatever the process did before
        save_adapter(build(task, **training).model, tmp_path / name)
        return (tmp_path / name).read_bytes()

    assert written("first") == written("second")
    assert written("third", seed=18) != written("first")


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_adapter_loads_and_saves_to_the_same_bytes(
    task: str, build: Callable[..., AdaptedModel], tmp_path: Path
) -> None:
    model = build(task).model
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    for parameter in adapter_parameters(model).values():
        torch.nn.init.normal_(parameter)
    save_adapter(model, first)
    other = build(task).model
    load_adapter(other, first)
    save_adapter(other, second)
    assert first.read_bytes() == second.read_bytes()


def test_an_adapter_that_does_not_fit_is_refused_by_name(build: Callable[..., AdaptedModel], tmp_path: Path) -> None:
    model = build("causal-lm").model
    path = tmp_path / "adapter.safetensors"
    save_adapter(model, path)
    good = load_file(path)
    name = min(good)
    cases: dict[str, dict[str, torch.Tensor]] = {
        f"missing {name}": {key: tensor for key, tensor in good.items() if key != name},
        "unexpected extra": good | {"extra": torch.zeros(1)},
        f"{name}: expected float32.4, 32., found float32.8, 32.": good | {name: torch.zeros(8, 32)},
        f"{name}: expected float32.4, 32., found float16.4, 32.": good | {name: good[name].half()},
        f"{name} holds infinite": good | {name: torch.full_like(good[name], math.inf)},
    }
    before = {key: parameter.detach().clone() for key, parameter in adapter_parameters(model).items()}
    for message, tensors in cases.items():
        save_file(tensors, path)
        with pytest.raises(TrainingError, match=message):
            load_adapter(model, path)
    path.write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="not a readable safetensors file"):
        load_adapter(model, path)
    assert all(torch.equal(parameter, before[key]) for key, parameter in adapter_parameters(model).items())


def test_an_architecture_that_does_not_fit_the_task_is_a_model_error(
    spec_of: Callable[..., JobSpec], cache: Path, tmp_path: Path, llama_folder: Path
) -> None:
    folder = tmp_path / "unknown"
    folder.mkdir()
    for path in llama_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "config.json").write_text('{"model_type": "no-such-architecture"}')
    manifest = model_manifest(f"path:{folder}", None, cache)
    with pytest.raises(ModelError, match="cannot be loaded for causal-lm"):
        build_adapted_model(spec_of("causal-lm"), manifest, cache, torch.device("cpu"), "fp32")


def test_a_file_beside_the_manifests_has_no_influence(
    spec_of: Callable[..., JobSpec], cache: Path, tmp_path: Path, llama_folder: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in llama_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    manifest = model_manifest(f"path:{folder}", None, cache)
    (folder / "special_tokens_map.json").write_text('{"eos_token": "[CLS]"}')
    assert "special_tokens_map.json" not in manifest.files
    adapted = build_adapted_model(spec_of("causal-lm"), manifest, cache, torch.device("cpu"), "fp32")
    assert adapted.tokenizer.eos_token == "[EOS]"
