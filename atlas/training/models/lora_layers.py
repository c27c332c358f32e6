"""The LoRA layers of a model: check their kinds, and untie weights that they share with other modules."""

from collections import Counter
from typing import cast

import torch
from peft import PeftModel
from peft.tuners.lora import Embedding, Linear, LoraLayer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from atlas.aggregation.files.factors import EMBEDDING, LINEAR, LayerKind
from atlas.errors import ModelError


def lora_layers(model: PeftModel) -> dict[str, LoraLayer]:
    """The adapted layers by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def kind_of(layer: LoraLayer) -> LayerKind:
    """The kind of the layer, which decides the names and the use of its factors."""
    return EMBEDDING if isinstance(layer, Embedding) else LINEAR


def is_transposed(layer: LoraLayer) -> bool:
    """Whether the layer keeps its weight as (in x out): embeddings do, and GPT-2's linear layers."""
    return isinstance(layer, Embedding) or bool(getattr(layer, "fan_in_fan_out", False))


def possible_targets(model: PreTrainedModel) -> str:
    """The last parts of the names of modules that can have LoRA, for messages; `model` has no adapter."""
    kinds = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
    found = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, kinds)}
    return ", ".join(sorted(found))


def layer_problems(model: PeftModel, targets: list[str]) -> list[str]:
    """The targets that name no module, and the first three adapted layers of unsupported kinds.

    Other kinds are unsupported because their factors are not matrices (convolutions), or because peft changes their
    weights in every step.
    """
    layers = lora_layers(model)
    problems = [
        f"{target!r} names no module of the model"
        for target in targets
        if not any(name.endswith(f".{target}") for name in layers)
    ]
    return (
        problems
        + [
            f"{name.removeprefix('base_model.model.')} is a {type(layer.get_base_layer()).__name__}"
            for name, layer in sorted(layers.items())
            if type(layer) not in (Linear, Embedding)
        ][:3]
    )


def untie_adapted_layers(model: PeftModel) -> None:
    """Copy shared weights so that each module has its own, if an adapted layer shares its weight with another module.

    A product merged into a shared weight, in a round or in an export, would also change the other module; the adapter
    itself does not. The configuration then has `tie_word_embeddings: false`, so that an exported model loads as it was
    saved. Raises `ModelError` if the same module is used in two places of the model.
    """
    base = cast(PreTrainedModel, model.get_base_model())
    places = Counter(id(module) for _, module in base.named_modules(remove_duplicate=False))
    holders = Counter(id(weight) for module in base.modules() for weight in module.parameters(recurse=False))
    shared = False
    for name, layer in lora_layers(model).items():
        original = layer.get_base_layer()
        if places[id(original)] > places[id(layer)]:
            raise ModelError(
                f"LoRA does not fit this model: {name.removeprefix('base_model.model.')} is used in "
                f"{places[id(original)]} places. Leave it out of lora.target_modules."
            )
        shared = shared or any(holders[id(weight)] > 1 for weight in original.parameters(recurse=False))
    if shared:
        _untie(base)


def _untie(base: PreTrainedModel) -> None:
    taken = set[int]()
    for module in base.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) in taken:
                weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
                setattr(module, name, weight)
            taken.add(id(weight))
    for config in (base.config, base.config.get_text_config()):
        config.tie_word_embeddings = False
    for module in base.modules():
        if isinstance(module, PreTrainedModel):
            module.all_tied_weights_keys = {}
