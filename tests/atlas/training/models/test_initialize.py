from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from atlas.documents.manifests import ModelManifest
from atlas.errors import ModelError, SpecError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import build_adapted_model, save_adapter
from atlas.training.models.initialize import initialize


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


def test_a_length_beyond_the_positions_of_the_loaded_model_is_refused(
    spec_of: Callable[..., JobSpec], manifest_of: dict[str, ModelManifest], cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"max_length is 65, but path:.* has positions for 64 tokens"):
        initialize(spec_of("causal-lm", max_length=65), manifest_of["causal-lm"], cache, tmp_path / "a", threads=1)
    with pytest.raises(SpecError, match=r"max_length is 1, but a language model needs two tokens"):
        initialize(spec_of("causal-lm", max_length=1), manifest_of["causal-lm"], cache, tmp_path / "a", threads=1)
    assert not (tmp_path / "a").exists()


def test_a_tokenizer_with_more_tokens_than_the_model_has_embeddings_is_refused(
    spec_of: Callable[..., JobSpec], llama_folder: Path, cache: Path, tmp_path: Path
) -> None:
    folder, spec = tmp_path / "model", spec_of("causal-lm")
    tokenizer, model = AutoTokenizer.from_pretrained(llama_folder), AutoModelForCausalLM.from_pretrained(llama_folder)
    rows = model.get_input_embeddings().num_embeddings
    for name, message in {"added": "its padding token reaches id 20", "short": "its vocabulary reaches id 19"}.items():
        if name == "added":
            tokenizer.add_special_tokens({"pad_token": "[NEW]"})
        else:
            model.resize_token_embeddings(rows - 1)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        source = f"path:{folder / name}"
        other = spec.model_copy(update={"model": spec.model.model_copy(update={"source": source})})
        with pytest.raises(ModelError, match=rf"which have \d+ rows: .*{message}"):
            initialize(other, model_manifest(source, None, cache), cache, tmp_path / "a", threads=1)
