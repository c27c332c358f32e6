"""The model to train, a frozen base with LoRA matrices, and the adapter file with all trainable tensors."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from atlas import activity
from atlas.aggregation.files.factors import Factor, factor_of, role_of
from atlas.documents.manifests import ModelManifest
from atlas.errors import ModelError
from atlas.spec.job import JobSpec
from atlas.training.models.base_model import base_model_folder
from atlas.training.models.lora_layers import layer_problems, possible_targets, untie_adapted_layers
from atlas.training.runtime import Precision, weight_dtype
from atlas.training.tasks.tasks import TASKS
from atlas.training.tensor_files import check_tensors, read_tensors, write_tensors


@dataclass(frozen=True)
class AdaptedModel:
    """A base model with an untrained adapter, its tokenizer, and the padding token's id."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    padding_id: int


def build_adapted_model(
    spec: JobSpec,
    manifest: ModelManifest,
    cache: Path,
    device: torch.device,
    precision: Precision,
    rank: int | None = None,
) -> AdaptedModel:
    """Load the verified base and add the untrained adapter, which `spec.training.seed` defines.

    `rank` None takes the spec's; at every rank the product of the factors is scaled by `spec.lora.scaling`.
    The adapter is created on the CPU, so that it is the same on every device. Raises `ModelError` when the files differ
    from the manifest or cannot be loaded, or when `lora.target_modules` names modules that cannot have LoRA.
    """
    task = TASKS[spec.model.task]
    folder = base_model_folder(manifest, cache)
    activity.begin("loading the model")
    torch.manual_seed(spec.training.seed)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        base = task.build_model(folder, spec, weight_dtype(precision))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The model {manifest.source} cannot be loaded for {spec.model.task}: {error}") from error
    adapted = add_adapter(base, tokenizer, spec, rank)
    return replace(adapted, model=adapted.model.to(device))


def outline_adapted_model(spec: JobSpec, manifest: ModelManifest, cache: Path, precision: Precision) -> AdaptedModel:
    """The model of `build_adapted_model` on torch's device `meta`: every tensor has its shape and type, but no values.

    It takes neither the weights' memory nor their time to load. Raises as `build_adapted_model` does, except for
    weights that cannot be loaded.
    """
    folder = base_model_folder(manifest, cache)
    activity.begin("outlining the model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            base = TASKS[spec.model.task].outline_model(folder, spec, weight_dtype(precision))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"The model {manifest.source} cannot be loaded for {spec.model.task}: {error}") from error
    return add_adapter(base, tokenizer, spec, None)


def add_adapter(
    base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spec: JobSpec, rank: int | None
) -> AdaptedModel:
    """Add the untrained adapter to a base model, in place; `rank` None takes the spec's.

    Raises `ModelError` when `lora.target_modules` names modules that cannot have LoRA.
    """
    padding_id = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
    base.config.pad_token_id = padding_id
    torch.manual_seed(spec.training.seed)
    source, targets, possible = spec.model.source, spec.lora.target_modules, possible_targets(base)
    config = TASKS[spec.model.task].adapter_config(base, spec, rank or spec.lora.rank)
    try:
        model = get_peft_model(base, config)
    except ValueError as error:
        raise ModelError(
            f"LoRA does not fit {source}: {error} lora.target_modules is {targets}; the model has {possible}."
        ) from error
    if problems := layer_problems(model, targets):
        raise ModelError(
            f"LoRA does not fit {source}: {'; '.join(problems)}. lora.target_modules must name linear layers "
            f"or embeddings; the model has {possible}."
        )
    untie_adapted_layers(model)
    for parameter in adapter_parameters(model).values():
        parameter.data = parameter.data.float()
    return AdaptedModel(model, tokenizer, padding_id)


def adapter_parameters(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The trainable parameters, sorted by the names that peft's `get_peft_model_state_dict` gives them."""
    named = {
        name.replace(".modules_to_save.default.", ".").replace(".default.", ".").removesuffix(".default"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    return dict(sorted(named.items()))


def set_training_mode(model: PeftModel) -> None:
    """Enable the adapter's dropout, and keep the frozen base in evaluation mode.

    No spec sets the base's own dropout. On the CPU, attention with dropout takes a slower path whose result depends on
    the number of threads.
    """
    model.eval()
    for name, module in model.named_modules():
        if ".lora_dropout." in name:
            module.train()


def save_adapter(model: PeftModel, path: Path) -> None:
    """Write the adapter file: float32, sorted, the same bytes for the same weights."""
    write_tensors(path, dict(adapter_parameters(model)))


def load_adapter(model: PeftModel, path: Path) -> None:
    """Overwrite the model's adapter; raises `TrainingError` naming missing, unexpected and misshapen tensors."""
    tensors, _ = read_tensors(path, "adapter")
    set_adapter(model, tensors, f"adapter {path}")


def load_adapter_at_rank(model: PeftModel, path: Path, full: int, rank: int) -> None:
    """Overwrite the model's adapter, which has rank `rank`, with the leading part of an adapter of rank `full`.

    The leading part is the first rows of A and the first columns of B. Raises `TrainingError` as `load_adapter` does.
    """
    tensors, _ = read_tensors(path, "adapter")
    cut = {name: _leading(name, tensor, full, rank) for name, tensor in tensors.items()}
    set_adapter(model, cut, f"adapter {path}")


def _leading(name: str, tensor: torch.Tensor, full: int, rank: int) -> torch.Tensor:
    dimension = {"A": 0, "B": 1, None: None}[factor_of(name)]
    if dimension is None or tensor.dim() != 2 or tensor.shape[dimension] != full:
        return tensor  # `set_adapter` refuses it if its shape is wrong
    return tensor.narrow(dimension, 0, min(rank, full))


def freeze_factor(model: PeftModel, factor: Factor) -> None:
    """Freeze one LoRA factor of each product, so that it is no longer a trainable parameter."""
    for name, parameter in adapter_parameters(model).items():
        if role_of(name) == factor:
            parameter.requires_grad_(False)


def set_adapter(model: PeftModel, tensors: dict[str, torch.Tensor], what: str) -> None:
    """Overwrite the model's adapter from tensors; `what` names them in the `TrainingError` for a bad fit."""
    parameters = adapter_parameters(model)
    check_tensors(tensors, dict(parameters), what)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
