"""Export a checkpoint as a plain transformers model that needs neither peft nor Atlas."""

import shutil
from pathlib import Path

import torch

from atlas.errors import TrainingError
from atlas.manifests import ModelManifest
from atlas.spec import JobSpec
from atlas.training.adapters import build_adapted_model, load_adapter
from atlas.training.runtime import prepare_runtime


def export_merged(spec: JobSpec, model: ModelManifest, adapter: Path | None, cache: Path, folder: Path) -> None:
    """Merge an adapter (None: the untrained one) into float32 base weights and save model and tokenizer to `folder`.

    The folder appears whole or not at all. Raises `TrainingError` when it exists or the adapter does not fit.
    """
    if folder.exists():
        raise TrainingError(f"The export folder {folder} exists already. Remove it or give another one.")
    prepare_runtime("cpu", threads=None)
    adapted = build_adapted_model(spec, model, cache, torch.device("cpu"), "fp32")
    if adapter is not None:
        load_adapter(adapted.model, adapter)
    merged = adapted.model.merge_and_unload(safe_merge=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    merged.save_pretrained(partial)
    adapted.tokenizer.save_pretrained(partial)
    partial.rename(folder)
