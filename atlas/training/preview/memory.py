"""The memory of a step, computed without weights: the step runs on tensors that have shapes but no values.

https://docs.pytorch.org/docs/stable/torch.compiler_fake_tensor.html
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from peft import PeftModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from atlas.spec.job import JobSpec
from atlas.training.models.adapters import adapter_parameters
from atlas.training.runtime import autocast
from atlas.training.tasks.batches import Batch
from atlas.training.tasks.tasks import TASKS

ADAM_STATES = 2
"""The numbers that AdamW keeps per trainable parameter, in the parameter's type."""
CPU = torch.device("cpu")


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storage of every tensor that is made inside this context; `peak` is its largest sum in bytes."""

    def __init__(self, without: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._bytes = 0
        self._known = {id(tensor.untyped_storage()) for tensor in without}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and count the storage of its results until it is freed."""
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor):
                self._count(result.untyped_storage())
        return results

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._bytes += size
        self.peak = max(self.peak, self._bytes)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._bytes -= size


def resident_bytes(model: PeftModel) -> int:
    """The bytes of all parameters and buffers; a tensor in several places counts once."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in {id(one): one for one in tensors}.values())


def training_bytes(model: PeftModel, spec: JobSpec, rows: int, width: int) -> int:
    """The memory of training in bytes: weights, AdamW's states, and one step over `rows` rows of `width` tokens.

    `model` is on the device `meta`. Raises what a model raises that cannot run without values.
    """
    states = sum(one.numel() * one.element_size() for one in adapter_parameters(model).values()) * ADAM_STATES
    return resident_bytes(model) + states + step_bytes(model, spec, rows, width, trains=True)


def evaluation_bytes(model: PeftModel, spec: JobSpec, rows: int, width: int) -> int:
    """The memory of an evaluation in bytes: weights, and one batch; otherwise as `training_bytes`."""
    return resident_bytes(model) + step_bytes(model, spec, rows, width, trains=False)


def step_bytes(model: PeftModel, spec: JobSpec, rows: int, width: int, trains: bool) -> int:
    """The bytes that one forward pass needs in addition to the model; with `trains`, also the backward pass."""
    with FakeTensorMode():
        tensors = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype).requires_grad_(tensor.requires_grad)
            for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        }
        batch = Batch(
            input_ids=torch.zeros(rows, width, dtype=torch.long),
            attention_mask=torch.ones(rows, width, dtype=torch.long),
            labels=torch.zeros(rows, dtype=torch.long),
        )
        with PeakBytes(tensors.values()) as counter:
            run_step(_WithTensors(model, tensors), spec, batch, trains)
    return int(counter.peak)


def run_step(model: Callable[..., Any], spec: JobSpec, batch: Batch, trains: bool) -> None:
    """The tensor operations of a step as `train` and `evaluate` make them, except for the optimizer's."""
    task = TASKS[spec.model.task]
    if not trains:
        with torch.inference_mode(), autocast(CPU, spec.training.precision):
            task.row_losses(task.forward(model, batch), batch)
        return
    with autocast(CPU, spec.training.precision):
        logits = task.forward(model, batch)
    task.row_losses(logits, batch).sum().backward()


class _WithTensors:
    """A model that is called with other tensors than its own."""

    def __init__(self, model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
        self._model, self._tensors = model, tensors

    def __call__(self, **inputs: Any) -> Any:
        """Call the model."""
        return torch.func.functional_call(self._model, self._tensors, (), inputs)
