"""Merge factors of earlier rounds into the weights of the base model, and restore the original weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel

from atlas import activity
from atlas.aggregation.files.factors import LoraModule, factor_of, lora_modules
from atlas.errors import AggregationError, TrainingError
from atlas.training.models.lora_layers import is_transposed, kind_of, lora_layers
from atlas.training.tensor_files import read_tensors

Product = tuple[torch.Tensor, torch.Tensor]
"""The factors B (out x k) and A (k x in), on the CPU."""


class MergedFactors:
    """The base weights of a model with an adapter, with factors merged into them.

    The original of each changed weight is kept. Each set of factors is merged into the original: the weight is
    original + B₁·A₁ + B₂·A₂ + …, summed in float32 in the order of the files and rounded once to the weight's own
    type. Nothing is ever subtracted, so without factors the weight equals its original, bit for bit. The products are
    computed on the CPU, regardless of the model's device.
    """

    def __init__(self, model: PeftModel) -> None:
        self._layers = lora_layers(model)
        self._originals: dict[str, torch.Tensor] = {}
        self._current: tuple[Path, ...] = ()

    def use(self, files: Sequence[Path]) -> None:
        """Merge exactly these files into the original base weights, oldest first.

        Raises `TrainingError`, without changing the model, when a file is damaged or does not fit the model.
        """
        if tuple(files) == self._current:
            return
        products: dict[str, list[Product]] = {}
        for file in files:
            for name, product in self._read(file).items():
                products.setdefault(name, []).append(product)
        for name in sorted(products.keys() | self._originals.keys()):
            activity.advance()
            weight = self._weight(name)
            original = self._originals.setdefault(name, weight.detach().clone())
            with torch.no_grad():
                weight.copy_(self._with_products(name, original, products.get(name, [])))
        self._current = tuple(files)

    def _with_products(self, name: str, original: torch.Tensor, products: list[Product]) -> torch.Tensor:
        if not products:
            return original
        total = original.to("cpu", torch.float32, copy=True)
        for b, a in products:
            total += (b @ a).T if is_transposed(self._layers[name]) else b @ a
        return total.to(original.dtype)

    def _weight(self, name: str) -> torch.Tensor:
        return cast(torch.Tensor, self._layers[name].get_base_layer().weight)

    def _read(self, file: Path) -> dict[str, Product]:
        """The products in a file, by module; raises `TrainingError` unless all fit the model."""
        tensors, _ = read_tensors(file, "file of merged factors")
        products, problems = dict[str, Product](), list[str]()
        try:
            modules, others = lora_modules(tensors), [name for name in sorted(tensors) if not factor_of(name)]
        except AggregationError as error:
            raise TrainingError(f"The merged factors {file} do not fit the model: {error}") from error
        for module in modules:
            if missing := [name for name in (module.b, module.a) if name not in tensors]:
                problems.append(f"missing {missing[0]}")
            elif problem := self._misfit(module, tensors[module.b], tensors[module.a]):
                problems.append(f"{module.name}: {problem}")
            else:
                products[module.name] = (tensors[module.b], tensors[module.a])
        problems += [f"unexpected {name}" for name in others]
        if problems:
            raise TrainingError(f"The merged factors {file} do not fit the model:\n" + "\n".join(problems))
        return products

    def _misfit(self, module: LoraModule, b: torch.Tensor, a: torch.Tensor) -> str | None:
        layer = self._layers.get(module.name)
        if layer is None or kind_of(layer) != module.kind:
            return "the model has no matrix with an adapter of this name"
        rows, columns = self._weight(module.name).shape[:: -1 if is_transposed(layer) else 1]
        if (b.dim(), a.dim()) != (2, 2) or b.shape[1] != a.shape[0] or (b.shape[0], a.shape[1]) != (rows, columns):
            return f"expected {rows} x k and k x {columns}, found {list(b.shape)} and {list(a.shape)}"
        if b.dtype != torch.float32 or a.dtype != torch.float32:
            return f"expected float32, found {b.dtype} and {a.dtype}"
        if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            return "holds infinite or undefined numbers"
        return None
