"""The outer optimizer's step at the end of a round: from the aggregate to the checkpoint's adapter."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.aggregation.files.adapter_files import AdapterFile, new_adapter
from atlas.aggregation.files.factors import Factor, role_of
from atlas.aggregation.outer.optimizer import Numbers, Optimizer
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.outer.settings import OuterSpec
from atlas.aggregation.outer.state_file import StateFile, new_state
from atlas.errors import AggregationError


def apply_outer(
    spec: OuterSpec, base: Path, combined: Path, state: Path | None, folder: Path, frozen: Factor | None = None
) -> tuple[Path, Path]:
    """Move the base by the optimizer's step; returns the adapter (moved.safetensors) and optimizer.safetensors.

    `state` is the state after the previous round, None in a job's first round. The factor that the round froze keeps
    its numbers and its state, so that momentum does not move an untrained factor. Reads and writes tensor by tensor.
    Raises `AggregationError` when the files do not fit together or the step leaves the range of float32.
    """
    if spec.optimizer not in OPTIMIZERS:
        raise AggregationError(f"outer.optimizer must be one of {', '.join(OPTIMIZERS)}; found {spec.optimizer!r}.")
    optimizer = OPTIMIZERS[spec.optimizer]
    old, aggregate = AdapterFile(base), AdapterFile(combined)
    shapes = {name: tensor.shape for name, tensor in old.tensors.items()}
    _check_shapes(aggregate, shapes)
    kept = _reader(optimizer, spec, state, old)
    adapter, next_state = folder / "moved.safetensors", folder / "optimizer.safetensors"
    with new_adapter(adapter, shapes) as new, new_state(next_state, optimizer.state, shapes) as memory:
        for name in shapes:
            numbers, states = old.read(name).reshape(-1), {kind: kept(kind, name) for kind in optimizer.state}
            if frozen is None or role_of(name) != frozen:
                target = aggregate.read(name).reshape(-1).astype(np.float64)
                numbers, states = _step(optimizer, spec, name, numbers.astype(np.float64), target, states)
            new.columns([name]).write(0, numbers)
            for kind, values in states.items():
                memory.write(kind, name, values)
    return adapter, next_state


def _check_shapes(combined: AdapterFile, shapes: dict[str, tuple[int, ...]]) -> None:
    found = {name: tensor.shape for name, tensor in combined.tensors.items()}
    for name in sorted(shapes.keys() | found.keys()):
        if shapes.get(name) != found.get(name):
            raise AggregationError(
                f"The round's aggregate does not fit its base: expected {name} to be {shapes.get(name)}, found "
                f"{found.get(name)}."
            )


def _reader(
    optimizer: Optimizer, spec: OuterSpec, state: Path | None, base: AdapterFile
) -> Callable[[str, str], Numbers]:
    """A reader of the optimizer's state per tensor; in a job's first round it returns the initial values."""
    if state is not None:
        return StateFile(state, optimizer.state, {name: tensor.shape for name, tensor in base.tensors.items()}).read
    return lambda kind, name: np.full(base.tensors[name].size, optimizer.state[kind](spec))


def _step(
    optimizer: Optimizer, spec: OuterSpec, name: str, base: Numbers, combined: Numbers, state: dict[str, Numbers]
) -> tuple[NDArray[np.float32], dict[str, Numbers]]:
    rate = spec.learning_rate or optimizer.learning_rate
    with np.errstate(over="ignore", invalid="ignore"):
        moved, next_state = optimizer.step(base, combined, state, rate, spec)
        rounded = moved.astype(np.float32)
    if not (np.isfinite(rounded).all() and all(np.isfinite(kept).all() for kept in next_state.values())):
        raise AggregationError(
            f"The outer optimizer {optimizer.name} moves {name} to NaN or infinity; check outer.learning_rate and the "
            "round's updates."
        )
    return rounded, next_state
