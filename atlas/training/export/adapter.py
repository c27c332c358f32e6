"""Export a checkpoint's adapter as a folder that plain peft loads onto the base model."""

from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel

from atlas.documents.manifests import ModelManifest
from atlas.errors import TrainingError
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import AdaptedModel, build_adapted_model, load_adapter, save_adapter
from atlas.training.models.base_model import base_model_folder
from atlas.training.runtime import prepare_runtime, weight_dtype
from atlas.training.tasks.tasks import TASKS

PROBE_TOKENS = 16
TOLERANCE = 1e-4
"""Logits of a float32 model that is loaded twice on the CPU differ by rounding at most."""


def export_adapter(
    spec: JobSpec, model: ModelManifest, adapter: Path, cache: Path, folder: Path, base_name: str
) -> None:
    """Write an adapter, its peft configuration and the tokenizer.

    It writes no `config.json`, because transformers would then expect the whole model's weights beside it.

    `base_name` is written to `adapter_config.json` as the base model, such as its name on the hub.
    The folder is loaded again with peft alone, and the outputs are compared. Raises `TrainingError` when a file does
    not fit, and when the base has weights that its files lack, so that the adapter alone does not determine the model.
    """
    prepare_runtime("cpu", threads=None)
    adapted = build_adapted_model(spec, model, cache, torch.device("cpu"), "fp32")
    load_adapter(adapted.model, adapter)
    base = base_model_folder(model, cache)
    save_adapter(adapted.model, folder / "adapter_model.safetensors")
    config = cast(LoraConfig, adapted.model.peft_config["default"])
    config.base_model_name_or_path = base_name
    config.revision = model.revision if model.source.startswith("hub:") else None
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules or [])  # peft holds a set, whose order is random
    config.save_pretrained(str(folder))
    adapted.tokenizer.save_pretrained(folder)
    _refuse_another_model(adapted, spec, base, folder)


def _refuse_another_model(adapted: AdaptedModel, spec: JobSpec, base: Path, folder: Path) -> None:
    """Load base and folder as a user would and compare outputs; weights missing from all files get another seed."""
    torch.manual_seed(spec.training.seed + 1)
    plain = TASKS[spec.model.task].build_model(base, spec, weight_dtype("fp32"))
    plain.config.pad_token_id = adapted.padding_id
    loaded = PeftModel.from_pretrained(plain, folder).eval()
    tokens = torch.arange(min(PROBE_TOKENS, plain.config.vocab_size)).unsqueeze(0)
    with torch.inference_mode():
        expected, found = (one(input_ids=tokens).logits for one in (adapted.model.eval(), loaded))
    if not torch.allclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE):
        raise TrainingError(
            "The adapter alone does not give this checkpoint's model: loaded onto the base again, its outputs differ "
            f"by {float((expected - found).abs().max()):.3g}. The base has weights that its files lack. Export it "
            "with --merged."
        )
