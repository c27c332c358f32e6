"""Safetensors files: equal tensors give equal bytes, and files are written atomically."""

import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from atlas.disk.files import naming, write_file
from atlas.errors import TrainingError


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: tuple[str, str] = ("format", "pt")) -> None:
    """Write tensors atomically, sorted by name, as contiguous copies on the CPU; raises `TrainingError`.

    The header holds one metadata entry, because safetensors writes several in no fixed order.
    """
    copies = {name: tensors[name].detach().to("cpu").contiguous() for name in sorted(tensors)}
    write_file(path, save(copies, dict([metadata])), TrainingError)


def save_folder(part: PreTrainedModel | PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model or tokenizer as transformers does; raises `TrainingError`, with the folder and the remedy."""
    with naming(folder, TrainingError):
        try:
            part.save_pretrained(folder)
        except SafetensorError as error:
            # safetensors gives the system's error as text only.
            found = re.search(r"os error (\d+)", str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error


def read_tensors(path: Path, what: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read every tensor and the metadata; `what` names the file's role in the `TrainingError` for a bad file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"The {what} {path} is not a readable safetensors file: {error}.") from error


def check_tensors(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], what: str) -> None:
    """Raise `TrainingError` unless both have the same names, shapes and types, and `found` holds finite numbers."""
    problems = [f"missing {name}" for name in sorted(expected.keys() - found.keys())]
    problems += [f"unexpected {name}" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        want, have = expected[name], found[name]
        if want.shape != have.shape or want.dtype != have.dtype:
            problems.append(f"{name}: expected {_form(want)}, found {_form(have)}")
        elif not torch.isfinite(have).all():
            problems.append(f"{name} holds infinite or undefined numbers")
    if problems:
        raise TrainingError(f"The {what} does not fit the model and the spec:\n" + "\n".join(problems))


def _form(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
