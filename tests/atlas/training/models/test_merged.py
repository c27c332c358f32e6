"""Factors of earlier rounds in the base weights: joined exactly, and gone again without a trace."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from atlas.documents.manifests import ModelManifest
from atlas.errors import TrainingError
from atlas.spec.job import JobSpec
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from atlas.training.export.merged_model import export_merged
from atlas.training.models.adapters import AdaptedModel, build_adapted_model
from atlas.training.models.merged import MergedFactors
from atlas.training.train import TrainRequest, train

QUERY = "base_model.model.bert.encoder.layer.{}.attention.self.query"
HIDDEN = 32


def write_factors(path: Path, modules: list[str], rank: int, seed: int, scale: float = 0.5) -> Path:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for module in modules:
        tensors[f"{module}.lora_A.weight"] = scale * torch.randn(rank, HIDDEN, generator=generator)
        tensors[f"{module}.lora_B.weight"] = scale * torch.randn(HIDDEN, rank, generator=generator)
    save_file(tensors, path)
    return path


def base_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters() if "base_layer.weight" in name}


def weight_name(module: str) -> str:
    return f"{module}.base_layer.weight"


@pytest.fixture
def build(
    spec_of: Callable[..., JobSpec], manifest_of: dict[str, ModelManifest], cache: Path
) -> Callable[[str], AdaptedModel]:
    def make(precision: str = "fp32") -> AdaptedModel:
        spec, task = spec_of("sequence-classification", precision=precision), "sequence-classification"
        return build_adapted_model(spec, manifest_of[task], cache, torch.device("cpu"), spec.training.precision)

    return make


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two rounds that touch one module in common, and one module each of their own."""
    first, second = [QUERY.format(0), QUERY.format(1)], [QUERY.format(0), QUERY.format(0).replace("query", "value")]
    return {
        "one": write_factors(tmp_path / "one.safetensors", first, rank=3, seed=1),
        "two": write_factors(tmp_path / "two.safetensors", second, rank=40, seed=2),
    }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_weight_is_the_original_and_every_product_rounded_once(
    precision: str, build: Callable[[str], AdaptedModel], files: dict[str, Path]
) -> None:
    model = build(precision).model
    before = base_weights(model)
    MergedFactors(model).use([files["one"], files["two"]])
    after, changed = base_weights(model), set()
    for name, weight in before.items():
        total = weight.double().numpy()
        for file in files.values():
            tensors = {key: tensor.double().numpy() for key, tensor in load_file(file).items()}
            module = name.removesuffix(".base_layer.weight")
            if f"{module}.lora_A.weight" in tensors:
                total = total + tensors[f"{module}.lora_B.weight"] @ tensors[f"{module}.lora_A.weight"]
                changed.add(name)
        if precision == "fp32":
            np.testing.assert_allclose(after[name].numpy(), total, rtol=1e-5, atol=1e-5)
        else:
            # Half a unit in the last of bfloat16's eight places, and what float32 lost before: one rounding, not two.
            slack = np.abs(total) * 2.0**-8 + 1e-5
            assert (np.abs(after[name].double().numpy() - total) <= slack).all()
    assert len(changed) == 3
    assert {name for name in before if not torch.equal(before[name], after[name])} == changed


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_choice_of_factors_starts_from_the_original_bit_for_bit(
    precision: str, build: Callable[[str], AdaptedModel], files: dict[str, Path]
) -> None:
    model = build(precision).model
    merged = MergedFactors(model)
    fresh = {}
    for key, choice in {"none": [], "one": ["one"], "two": ["two"], "both": ["one", "two"]}.items():
        other = build(precision).model
        MergedFactors(other).use([files[name] for name in choice])
        fresh[key] = (choice, base_weights(other))
    for key in ("both", "one", "none", "two", "two", "both", "none"):
        choice, expected = fresh[key]
        merged.use([files[name] for name in choice])
        found = base_weights(model)
        assert all(torch.equal(found[name], expected[name]) for name in expected), key


def test_factors_that_do_not_fit_are_refused_by_name_and_nothing_changes(
    build: Callable[..., AdaptedModel], files: dict[str, Path], tmp_path: Path
) -> None:
    model = build().model
    before = base_weights(model)
    good, module, path = load_file(files["one"]), QUERY.format(0), tmp_path / "bad.safetensors"
    a, b = f"{module}.lora_A.weight", f"{module}.lora_B.weight"
    cases: dict[str, dict[str, torch.Tensor]] = {
        f"missing {a}": {name: tensor for name, tensor in good.items() if name != a},
        "unexpected extra": good | {"extra": torch.zeros(1)},
        **{
            f"{name}: the model has no matrix": {f"{name}.lora_A.weight": good[a], f"{name}.lora_B.weight": good[b]}
            for name in (f"{module}x", "base_model.model.classifier")
        },
        f"{module}: expected 32 x k and k x 32, found .32, 3. and .3, 31.": good | {a: good[a][:, 1:].contiguous()},
        "found .32, 3. and .2, 32.": good | {a: good[a][1:].contiguous()},
        "found .31, 3. and .3, 32.": good | {b: good[b][1:].contiguous()},
        "found .96. and": good | {b: good[b].flatten()},
        "expected float32": good | {a: good[a].half()},
        "infinite or undefined": good | {b: torch.full_like(good[b], math.nan)},
    }
    for message, tensors in cases.items():
        save_file(tensors, path)
        with pytest.raises(TrainingError, match=message):
            MergedFactors(model).use([files["two"], path])
    path.write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="not a readable safetensors file"):
        MergedFactors(model).use([path])
    after = base_weights(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_layer_that_keeps_its_weight_transposed_gets_the_product_transposed(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=11, n_positions=8, n_embd=4, n_layer=1, n_head=1)
    lora = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    model = get_peft_model(GPT2LMHeadModel(config), lora)
    module = "base_model.model.transformer.h.0.attn.c_attn"
    a, b = torch.ones(1, 4), torch.arange(12.0).reshape(12, 1)
    save_file({f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}, tmp_path / "factors.safetensors")
    weight = model.get_submodule(module).get_base_layer().weight
    before = weight.detach().clone()
    MergedFactors(model).use([tmp_path / "factors.safetensors"])
    torch.testing.assert_close(weight - before, (b @ a).T)


@pytest.fixture
def loud(
    spec_of: Callable[..., JobSpec], untrained: Callable[[JobSpec], Path], tmp_path: Path
) -> tuple[JobSpec, Path, Path, Path]:
    """A spec, an adapter, the same adapter with its matrices emptied, and them as factors to merge."""
    spec, generator = spec_of("sequence-classification", dropout=0.0), torch.Generator().manual_seed(4)
    start = load_file(untrained(spec))
    whole = {name: 0.5 * torch.randn(tensor.shape, generator=generator) for name, tensor in start.items()}
    emptied = {name: torch.zeros_like(tensor) if ".lora_B." in name else tensor for name, tensor in whole.items()}
    factors = {
        name: tensor * (spec.lora.scaling if ".lora_B." in name else 1.0)
        for name, tensor in whole.items()
        if ".lora_" in name
    }
    paths = [tmp_path / f"{name}.safetensors" for name in ("whole", "emptied", "factors")]
    for path, tensors in zip(paths, (whole, emptied, factors), strict=True):
        save_file(tensors, path)
    return (spec, paths[0], paths[1], paths[2])


def test_a_merged_adapter_judges_as_the_adapter_itself_and_leaves_nothing_behind(
    loud: tuple[JobSpec, Path, Path, Path], manifest_of: dict[str, ModelManifest], shard: Path, cache: Path
) -> None:
    spec, whole, emptied, factors = loud
    candidates = [
        Candidate("emptied", emptied),
        Candidate("whole", whole),
        Candidate("merged", emptied, (factors,)),
        Candidate("twice", emptied, (factors, factors)),
        Candidate("again", emptied),
    ]
    request = EvaluateRequest(spec, manifest_of[spec.model.task], shard, candidates, cache, device="cpu")
    losses = {name: found["loss"] for name, found in evaluate(request, lambda progress: None).metrics.items()}
    assert losses["merged"] == pytest.approx(losses["whole"], rel=1e-5)
    assert losses["again"] == losses["emptied"]
    assert len({round(losses[name], 4) for name in ("emptied", "whole", "twice")}) == 3


def test_training_goes_on_from_merged_factors_and_its_checkpoints_say_so(
    loud: tuple[JobSpec, Path, Path, Path],
    manifest_of: dict[str, ModelManifest],
    shard: Path,
    cache: Path,
    tmp_path: Path,
) -> None:
    spec, whole, emptied, factors = loud
    saved: list[Path] = []
    request = TrainRequest(
        spec=spec.model_copy(update={"training": spec.training.model_copy(update={"checkpoint_every": 2})}),
        model=manifest_of[spec.model.task],
        shard=shard,
        base_adapter=emptied,
        seed=7,
        work=tmp_path / "work",
        cache=cache,
        merged=(factors,),
        device="cpu",
    )

    def first_loss(request: TrainRequest) -> float:
        return train(request, lambda p: None, lambda s, path: saved.append(path), lambda: False).losses[0].loss

    merged = first_loss(request)
    assert merged == pytest.approx(first_loss(dataclasses.replace(request, merged=(), base_adapter=whole)), rel=1e-5)
    assert merged != pytest.approx(first_loss(dataclasses.replace(request, merged=())), rel=1e-3)
    first_loss(request)
    first_loss(dataclasses.replace(request, resume=saved[-1]))
    with pytest.raises(TrainingError, match="its merged is"):
        first_loss(dataclasses.replace(request, merged=(factors, factors), resume=saved[-1]))


def test_an_export_merges_them_as_well(
    loud: tuple[JobSpec, Path, Path, Path], manifest_of: dict[str, ModelManifest], cache: Path, tmp_path: Path
) -> None:
    spec, whole, emptied, factors = loud
    manifest = manifest_of[spec.model.task]
    export_merged(spec, manifest, whole, [], cache, tmp_path / "adapter")
    export_merged(spec, manifest, emptied, [factors], cache, tmp_path / "factors")
    expected = load_file(tmp_path / "adapter" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "factors" / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-5)
