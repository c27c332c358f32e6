"""The adapter that a job begins with: untrained, as the spec's seed defines it."""

from pathlib import Path

from atlas.documents.manifests import Environment, ModelManifest
from atlas.spec.job import JobSpec
from atlas.training.models.adapters import build_adapted_model, save_adapter
from atlas.training.models.model_checks import check_model
from atlas.training.runtime import environment, prepare_runtime


def initialize(spec: JobSpec, model: ModelManifest, cache: Path, path: Path, threads: int | None) -> Environment:
    """Write the untrained adapter of a job to `path`, and return the numeric class in which it was computed.

    Raises `ModelError` or `CorruptContent` as `build_adapted_model` does, and the errors of `check_model`.
    """
    device, precision = prepare_runtime("cpu", threads), spec.training.precision
    adapted = build_adapted_model(spec, model, cache, device, precision)
    check_model(spec, adapted)
    save_adapter(adapted.model, path)
    return environment(device, precision)
