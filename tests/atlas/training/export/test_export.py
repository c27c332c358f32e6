import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from atlas.documents.manifests import ModelManifest
from atlas.spec.job import JobSpec
from atlas.training.export.merged_model import export_merged
from atlas.training.models.adapters import build_adapted_model, load_adapter, save_adapter


@pytest.mark.parametrize(
    ("task", "auto"),
    [("sequence-classification", AutoModelForSequenceClassification), ("causal-lm", AutoModelForCausalLM)],
)
def test_the_export_is_a_plain_model_with_the_same_logits(
    task: str,
    auto: type,
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    cache: Path,
    tmp_path: Path,
) -> None:
    spec = spec_of(task)
    adapted = build_adapted_model(spec, manifest_of[task], cache, torch.device("cpu"), "fp32")
    adapter, folder = tmp_path / "adapter.safetensors", tmp_path / "out" / "export"
    save_adapter(adapted.model, adapter)
    save_file({name: torch.randn(tensor.shape) * 0.3 for name, tensor in load_file(adapter).items()}, adapter)
    load_adapter(adapted.model, adapter)
    export_merged(spec, manifest_of[task], adapter, [], cache, folder)

    inputs = AutoTokenizer.from_pretrained(folder)(["a good film", "b b bad"], return_tensors="pt", padding=True)
    plain = auto.from_pretrained(folder)
    assert not [name for name, _ in plain.named_modules() if "lora" in name]
    with torch.no_grad():
        found = plain(**inputs).logits
        expected = adapted.model.eval()(**inputs).logits
        untrained = build_adapted_model(spec, manifest_of[task], cache, torch.device("cpu"), "fp32").model.eval()
        assert not torch.allclose(untrained(**inputs).logits, expected, atol=1e-2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    if task == "sequence-classification":
        assert plain.config.id2label == {0: "bad", 1: "good"}
    assert [path.name for path in folder.parent.iterdir()] == ["export"]


@pytest.mark.slow
def test_the_export_loads_without_peft(
    spec_of: Callable[..., JobSpec],
    manifest_of: dict[str, ModelManifest],
    untrained: Callable[[JobSpec], Path],
    cache: Path,
    tmp_path: Path,
) -> None:
    spec = spec_of("causal-lm")
    export_merged(spec, manifest_of["causal-lm"], untrained(spec), [], cache, tmp_path / "export")
    program = (
        "import sys; sys.modules['peft'] = None\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "AutoModelForCausalLM.from_pretrained(sys.argv[1]); AutoTokenizer.from_pretrained(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "export")], check=True)
