"""LoRA on layers that are not plain linear ones: tied weights are parted, and what rounds cannot use is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from atlas.documents.manifests import ModelManifest
from atlas.errors import ModelError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.export.merged_model import export_merged
from atlas.training.models.adapters import AdaptedModel, adapter_parameters, build_adapted_model, load_adapter
from atlas.training.models.lora_layers import layer_problems
from atlas.training.models.merged import MergedFactors
from tests.support.models.tiny_words import WORDS, save_tokenizer

IDS = torch.tensor([[5, 7, 9, 11, 6, 4]])
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "hidden_size": 16}
MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), tie_word_embeddings=True, **SHAPE)),
    "llama-untied": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), tie_word_embeddings=False, **SHAPE)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=32)),
    "bert": lambda: BertLMHeadModel(BertConfig(vocab_size=len(WORDS), is_decoder=True, **SHAPE)),
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1)),
}
TARGETS = [
    ("llama", ["q_proj", "lm_head"]),
    ("llama", ["q_proj", "embed_tokens"]),
    ("llama", ["embed_tokens", "lm_head"]),
    ("llama-untied", ["embed_tokens", "lm_head"]),
    ("gpt2", ["c_attn", "wte"]),
    ("gpt2", ["c_attn", "wpe", "lm_head"]),
    ("bert", ["query", "decoder"]),
    ("bert", ["query", "word_embeddings"]),
]


@pytest.fixture
def order(tmp_path: Path) -> Callable[[str, list[str]], tuple[JobSpec, ModelManifest]]:
    """A spec over a tiny model of this name with these targets, and the model's manifest."""

    def make(model: str, targets: list[str]) -> tuple[JobSpec, ModelManifest]:
        torch.manual_seed(3)
        folder = tmp_path / model
        MODELS[model]().save_pretrained(folder)
        save_tokenizer(folder, "$A")
        raw = {
            "name": "layers",
            "model": {"source": f"path:{folder}", "task": "causal-lm"},
            "dataset": {"source": "rows.jsonl", "label_column": None, "shard_by": {"rows": 100}},
            "lora": {"rank": 3, "alpha": 6, "target_modules": targets},
            "payment": {"budget": 1000, "reward_per_task": 1},
        }
        return JobSpec.from_mapping(raw), model_manifest(f"path:{folder}", None, tmp_path)

    return make


def build(spec: JobSpec, manifest: ModelManifest, cache: Path) -> AdaptedModel:
    return build_adapted_model(spec, manifest, cache, torch.device("cpu"), "fp32")


def drawn_adapter(adapted: AdaptedModel, path: Path, seed: int) -> Path:
    generator = torch.Generator().manual_seed(seed)
    parameters = adapter_parameters(adapted.model)
    save_file({name: 0.3 * torch.randn(one.shape, generator=generator) for name, one in parameters.items()}, path)
    return path


@pytest.mark.parametrize(("model", "targets"), TARGETS)
def test_an_export_gives_the_logits_of_the_model_that_was_trained(model, targets, order, tmp_path) -> None:
    spec, manifest = order(model, targets)
    adapted = build(spec, manifest, tmp_path)
    adapter = drawn_adapter(adapted, tmp_path / "a.safetensors", 1)
    load_adapter(adapted.model, adapter)
    factors = drawn_adapter(adapted, tmp_path / "f.safetensors", 2)
    MergedFactors(adapted.model).use([factors])
    with torch.no_grad():
        expected = adapted.model.eval()(input_ids=IDS).logits
        export_merged(spec, manifest, adapter, [factors], tmp_path, tmp_path / "out")
        found = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()(input_ids=IDS).logits
        before = build(spec, manifest, tmp_path).model.eval()(input_ids=IDS).logits
    assert (expected - before).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("model", "targets"), TARGETS)
def test_merged_factors_change_the_model_as_the_adapter_itself_does(model, targets, order, tmp_path) -> None:
    spec, manifest = order(model, targets)
    adapted = build(spec, manifest, tmp_path)
    path = drawn_adapter(adapted, tmp_path / "a.safetensors", 1)
    with torch.no_grad():
        plain = adapted.model.eval()(input_ids=IDS).logits
        start = {name: one.detach().clone() for name, one in adapter_parameters(adapted.model).items()}
        load_adapter(adapted.model, path)
        live = adapted.model(input_ids=IDS).logits
        tensors = {name: one.detach().clone() for name, one in adapter_parameters(adapted.model).items()}
        scaled = {name: one * (spec.lora.scaling if "_B" in name else 1.0) for name, one in tensors.items()}
        save_file(scaled, tmp_path / "factors.safetensors")
        save_file(start, tmp_path / "start.safetensors")
        load_adapter(adapted.model, tmp_path / "start.safetensors")
        merged = MergedFactors(adapted.model)
        merged.use([tmp_path / "factors.safetensors"])
        joined = adapted.model(input_ids=IDS).logits
        merged.use([])
        again = adapted.model(input_ids=IDS).logits
    torch.testing.assert_close(joined, live, rtol=1e-4, atol=1e-4)
    assert torch.equal(again, plain)


def test_the_names_of_an_embedding_s_factors_are_pefts(order, tmp_path) -> None:
    model = build(*order("llama", ["q_proj", "embed_tokens"]), tmp_path).model
    assert sorted(adapter_parameters(model)) == sorted(get_peft_model_state_dict(model, save_embedding_layers=False))


def test_weights_stay_tied_where_no_adapted_layer_shares_them(order, tmp_path) -> None:
    model = build(*order("llama", ["q_proj"]), tmp_path).model.get_base_model()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.config.tie_word_embeddings


@pytest.mark.parametrize(
    ("model", "targets", "message"),
    [
        ("mamba", ["conv1d"], r"'conv1d' is incompatible.*the model has .*in_proj"),
        ("llama", ["q_proj", "k_prj"], r"'k_prj' names no module of the model.*the model has .*k_proj.*q_proj"),
        ("llama", ["all-linear"], r"Target modules .*all-linear.* not found.*the model has .*q_proj"),
    ],
)
def test_a_target_that_rounds_cannot_use_is_refused_with_those_that_they_can(
    model, targets, message, order, tmp_path
) -> None:
    spec, manifest = order(model, targets)
    with pytest.raises(ModelError, match=message):
        build(spec, manifest, tmp_path)


def test_a_convolution_in_two_dimensions_is_refused() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Linear(4, 2))
    model = get_peft_model(net, LoraConfig(r=2, target_modules=["0", "1"]))
    assert layer_problems(model, ["0", "1"]) == ["0 is a Conv2d"]
