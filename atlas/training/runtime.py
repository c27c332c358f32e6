"""The torch runtime: select the device, make computations deterministic, and describe the numeric class."""

import os
import platform
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import peft
import torch
import torch.utils.deterministic
import transformers
from huggingface_hub.utils.tqdm import disable_progress_bars

from atlas import activity
from atlas.documents.manifests import Environment
from atlas.errors import TrainingError

Precision = Literal["fp32", "bf16"]


def prepare_runtime(device: str | None, threads: int | None) -> torch.device:
    """Make this process deterministic and quiet, and return the device to compute on.

    `device` None takes CUDA, else MPS, else the CPU; `threads` None leaves torch's own choice.
    Raises `TrainingError` when this machine lacks the device.
    https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Filling new memory only helps to detect reads of uninitialised memory; it costs time and changes no result.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    if threads is not None:
        torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)  # peft calls it
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers.utils.logging.set_tqdm_hook(_report_items)
    disable_progress_bars()
    return _pick_device(device)


def _report_items(bar: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The hook that transformers calls for its progress bars, such as that of loading weights; reports each item."""
    if not arguments:
        return bar(*arguments, **options)
    items, *others = arguments
    return bar(_reported(items), *others, **options)


def _reported(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        activity.advance()
        yield item


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """A context that computes in bfloat16 if the precision is bf16, and else does nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def weight_dtype(precision: Precision) -> torch.dtype:
    """The type of the frozen base weights; adapter weights are float32 always."""
    return torch.bfloat16 if precision == "bf16" else torch.float32


def environment(device: torch.device, precision: Precision) -> Environment:
    """The numeric class of computations here: GPU model or CPU instruction set, library versions, precision."""
    if device.type == "cuda":
        hardware = f"cuda {torch.cuda.get_device_name(device)}"
    elif device.type == "cpu":
        hardware = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    else:
        hardware = f"{device.type} {platform.machine()}"
    return Environment(
        device=hardware,
        torch=torch.__version__,
        transformers=transformers.__version__,
        peft=peft.__version__,
        platform=f"{platform.system()} {platform.machine()}",
        precision=precision,
    )


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """The generators' states: `cpu`, and the accelerator's under its own name."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore the states from `random_states`; an accelerator without a state keeps its seed.

    Raises `RuntimeError` when a state is malformed.
    """
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def _pick_device(name: str | None) -> torch.device:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind, present in available.items() if present))
    usable = ", ".join(kind for kind, present in available.items() if present)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"The device {name!r} is not a torch device. This machine has: {usable}.") from error
    past_last = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if not available.get(device.type, False) or past_last:
        raise TrainingError(f"This machine has no device {name!r}. It has: {usable}.")
    return device
