"""An exported adapter is loaded by plain peft, in a process that has no Atlas, with the same outputs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
)

from atlas.documents.manifests import ModelManifest
from atlas.errors import TrainingError
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec
from atlas.training.export.adapter import export_adapter
from atlas.training.models.adapters import build_adapted_model, load_adapter, save_adapter


def trained(spec: JobSpec, manifest: ModelManifest, cache: Path, path: Path) -> PeftModel:
    """A model whose adapter and head are random numbers, which are also written to `path`."""
    adapted = build_adapted_model(spec, manifest, cache, torch.device("cpu"), "fp32")
    save_adapter(adapted.model, path)
    torch.manual_seed(8)
    save_file({name: torch.randn(tensor.shape) * 0.3 for name, tensor in load_file(path).items()}, path)
    load_adapter(adapted.model, path)
    return adapted.model.eval()


@pytest.mark.parametrize("task", ["sequence-classification", "causal-lm"])
def test_plain_peft_loads_the_folder_with_the_same_logits(
    task: str,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    folder_of: dict[str, Path],
    cache: Path,
    tmp_path: Path,
) -> None:
    spec, adapter, folder = spec_of(task), tmp_path / "adapter.safetensors", tmp_path / "export"
    model = trained(spec, manifest_of[task], cache, adapter)
    folder.mkdir()
    export_adapter(spec, manifest_of[task], adapter, cache, folder, str(folder_of[task]))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(["a good film", "b b bad"], return_tensors="pt", padding=True)
    auto = AutoModelForCausalLM if task == "causal-lm" else AutoModelForSequenceClassification
    by_peft = PeftModel.from_pretrained(auto.from_pretrained(folder_of[task]), folder)
    by_transformers = auto.from_pretrained(folder)
    with torch.no_grad():
        for loaded in (by_peft, by_transformers):
            found = loaded.eval()(**inputs).logits
            torch.testing.assert_close(found, model(**inputs).logits, rtol=1e-4, atol=1e-4)
    described = json.loads((folder / "adapter_config.json").read_text())
    assert described["target_modules"] == sorted(described["target_modules"])
    assert described["base_model_name_or_path"] == str(folder_of[task])


def test_the_base_has_the_name_that_is_given_and_nothing_has_a_path_of_this_machine(
    spec_of: Callable[..., JobSpec], manifest_of: dict[str, ModelManifest], cache: Path, tmp_path: Path
) -> None:
    spec, adapter = spec_of("causal-lm"), tmp_path / "adapter.safetensors"
    trained(spec, manifest_of["causal-lm"], cache, adapter)
    (tmp_path / "export").mkdir()
    export_adapter(spec, manifest_of["causal-lm"], adapter, cache, tmp_path / "export", "lab/base")
    assert (
        json.loads((tmp_path / "export" / "adapter_config.json").read_text())["base_model_name_or_path"] == "lab/base"
    )
    for path in (tmp_path / "export").glob("*.json"):
        assert str(tmp_path.parent) not in path.read_text(), path


def test_an_adapter_on_weights_that_the_base_s_files_lack_is_refused(
    spec_of: Callable[..., JobSpec], bert_folder: Path, cache: Path, tmp_path: Path
) -> None:
    """A masked language model has no pooler, which the classifier reads: it is drawn at random, from the job's seed."""
    source = tmp_path / "masked"
    BertForMaskedLM(BertConfig.from_pretrained(bert_folder)).save_pretrained(source)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(source)
    manifest = model_manifest(f"path:{source}", None, cache)
    spec = spec_of("sequence-classification")
    trained(spec, manifest, cache, tmp_path / "adapter.safetensors")
    (tmp_path / "export").mkdir()
    with pytest.raises(TrainingError, match="base has weights that its files lack"):
        export_adapter(spec, manifest, tmp_path / "adapter.safetensors", cache, tmp_path / "export", "lab/base")
