"""peft's merge of adapters in a model: `svd` forms ΔW and decomposes it, `cat` stacks the factors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Meter, answer, read_tensors, update_path, weight_of, write_tensors
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict


class Attention(torch.nn.Module):
    """Two layers that LoRA adapts, named as in a language model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj = torch.nn.Linear(width, width, bias=False)
        self.v_proj = torch.nn.Linear(width, width, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Never called, but peft requires it."""
        return self.v_proj(self.q_proj(values))


class Layer(torch.nn.Module):
    """A layer of the model."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = Attention(width)


class Model(torch.nn.Module):
    """A model with the modules `model.layers.0.self_attn`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([Layer(width)])})


def _adapted(folder: str, updates: int, width: int, rank: int, scaling: float) -> PeftModel:
    config = LoraConfig(r=rank, lora_alpha=scaling * rank, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(Model(width), config, adapter_name="0")
    for number in range(updates):
        if number:
            model.add_adapter(str(number), config)
        tensors = {name: torch.from_numpy(one) for name, one in read_tensors(update_path(folder, number)).items()}
        found = set_peft_model_state_dict(model, tensors, adapter_name=str(number))
        assert not found.unexpected_keys, found.unexpected_keys
    return model


def _merged(model: PeftModel) -> dict[str, np.ndarray]:
    """The merged adapter with its scaling multiplied into B."""
    tensors = {}
    for name, module in model.named_modules():
        if "merged" in getattr(module, "lora_A", {}):
            tensors[f"{name}.lora_A.weight"] = _numbers(module.lora_A)
            tensors[f"{name}.lora_B.weight"] = _numbers(module.lora_B) * module.scaling["merged"]
    return tensors


def _numbers(factor: torch.nn.ModuleDict) -> np.ndarray:
    return factor["merged"].weight.detach().numpy()


def work(folder: str, updates: int, width: int, rank: int, scaling: float, kind: str, out: str) -> dict[str, Any]:
    """Merge with weights by the rows of the shards, and write the result to `out`."""
    torch.manual_seed(0)
    meter = Meter()
    model = _adapted(folder, updates, width, rank, scaling)
    weights = np.array([weight_of(number) for number in range(updates)], np.float64)
    names, shares = [str(number) for number in range(updates)], (weights / weights.sum()).tolist()
    with meter.work(), torch.no_grad():
        model.base_model.add_weighted_adapter(names, shares, "merged", combination_type=kind, svd_rank=rank)
    report = meter.report()
    write_tensors(Path(out), _merged(model))
    return report


if __name__ == "__main__":
    answer(work)
