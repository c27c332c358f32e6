"""Export a checkpoint as a plain transformers model that needs neither peft nor Atlas."""

from collections.abc import Sequence
from pathlib import Path

import torch

from atlas.documents.manifests import ModelManifest
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import build_adapted_model, load_adapter
from atlas.training.models.merged import MergedFactors
from atlas.training.runtime import prepare_runtime
from atlas.training.tensor_files import save_folder


def export_merged(
    spec: JobSpec, model: ModelManifest, adapter: Path, factors: Sequence[Path], cache: Path, folder: Path
) -> None:
    """Merge an adapter into float32 base weights and save model and tokenizer to `folder`.

    `factors` are those that the checkpoint lists as merged, oldest first; they are merged before the adapter.
    Raises `TrainingError` when a file does not fit, or `folder` cannot be written.
    """
    prepare_runtime("cpu", threads=None)
    adapted = build_adapted_model(spec, model, cache, torch.device("cpu"), "fp32")
    MergedFactors(adapted.model).use(factors)
    load_adapter(adapted.model, adapter)
    merged = adapted.model.merge_and_unload(safe_merge=True)
    save_folder(merged, folder)
    save_folder(adapted.tokenizer, folder)
