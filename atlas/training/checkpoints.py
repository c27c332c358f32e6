"""Resumable training checkpoints: one safetensors file with adapter, optimizer moments, generators and progress."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import PeftModel
from pydantic import Field

from atlas.aggregation.files.factors import Factor
from atlas.documents.document import Document
from atlas.errors import SpecError, TrainingError
from atlas.training.models.adapters import adapter_parameters, set_adapter
from atlas.training.runtime import random_states, restore_random_states
from atlas.training.tensor_files import check_tensors, read_tensors, write_tensors

METADATA_KEY = "atlas-training-checkpoint"
MOMENTS = ("exp_avg", "exp_avg_sq")


class RunIdentity(Document):
    """The inputs that identify a training run; a checkpoint can resume only the run that wrote it."""

    job: str
    model: str
    shard: str
    base_adapter: str
    merged: list[str]
    frozen: Factor | None
    rank: int
    seed: int


class _Metadata(Document):
    run: RunIdentity
    step: int = Field(gt=0)
    cursor: int = Field(ge=0, description="rows taken from the training order")
    tokens_seen: int = Field(ge=0)
    losses: list[float | None]


@dataclass
class TrainingState:
    """The progress of a run."""

    step: int = 0
    rows_seen: int = 0
    tokens_seen: int = 0
    losses: list[float | None] = field(default_factory=list)
    """Per step; None for a skipped step, whose rows had nothing to predict."""

    @property
    def steps_taken(self) -> int:
        """The number of optimizer steps taken, without skipped ones."""
        return sum(loss is not None for loss in self.losses)


def save_checkpoint(
    path: Path, run: RunIdentity, state: TrainingState, model: PeftModel, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything that the next step depends on."""
    tensors = {f"rng.{name}": value for name, value in random_states(model.device).items()}
    for name, parameter in adapter_parameters(model).items():
        tensors[f"adapter.{name}"] = parameter
        for moment in MOMENTS:
            tensors[f"{moment}.{name}"] = optimizer.state[parameter].get(moment, torch.zeros_like(parameter))
    metadata = _Metadata(
        run=run,
        step=state.step,
        cursor=state.rows_seen,
        tokens_seen=state.tokens_seen,
        losses=state.losses,
    )
    write_tensors(path, tensors, (METADATA_KEY, metadata.canonical_bytes().decode()))


def load_checkpoint(
    path: Path, run: RunIdentity, model: PeftModel, optimizer: torch.optim.Optimizer, rows_per_step: int, steps: int
) -> TrainingState:
    """Restore model, optimizer and generators from a checkpoint; later steps give the same bytes as an unstopped run.

    On another kind of device than the checkpoint's, training continues, but the device's generator keeps its seed.
    Raises `TrainingError` when the file is damaged or belongs to another run.
    """
    tensors, header = read_tensors(path, "training checkpoint")
    metadata = _read_metadata(path, header, run, rows_per_step, steps)
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    parameters = adapter_parameters(model)
    for moment in MOMENTS:
        check_tensors(groups.get(moment, {}), dict(parameters), f"training checkpoint {path} ({moment})")
    set_adapter(model, groups.get("adapter", {}), f"training checkpoint {path}")
    state = TrainingState(metadata.step, metadata.cursor, metadata.tokens_seen, list(metadata.losses))
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(state.steps_taken)),
            **{moment: groups[moment][name].to(parameter.device) for moment in MOMENTS},
        }
    try:
        restore_random_states(groups.get("rng", {}), model.device)
    except (KeyError, RuntimeError, TypeError) as error:
        raise TrainingError(f"The training checkpoint {path} holds no valid generator state: {error}.") from error
    return state


def _read_metadata(path: Path, header: dict[str, str], run: RunIdentity, rows_per_step: int, steps: int) -> _Metadata:
    if METADATA_KEY not in header:
        raise TrainingError(f"{path} is not a training checkpoint: its header lacks {METADATA_KEY!r}.")
    try:
        metadata = _Metadata.from_bytes(header[METADATA_KEY].encode())
    except SpecError as error:
        raise TrainingError(f"The training checkpoint {path} has a damaged header: {error}") from error
    for field_name, expected in run:
        found = getattr(metadata.run, field_name)
        if found != expected:
            raise TrainingError(
                f"The training checkpoint {path} is of another run: its {field_name} is {found}, expected {expected}. "
                "Start this task without it."
            )
    if not (metadata.step == len(metadata.losses) <= steps and metadata.cursor == metadata.step * rows_per_step):
        raise TrainingError(
            f"The training checkpoint {path} is inconsistent: step {metadata.step} of {steps}, {len(metadata.losses)} "
            f"losses, {metadata.cursor} rows at {rows_per_step} a step."
        )
    return metadata
