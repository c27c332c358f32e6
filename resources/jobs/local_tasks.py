"""Training by the coordinator itself, in a child process, so that the coordinator never loads torch."""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.content.format.cid import cid_of_file
from atlas.content.store import ContentStore
from atlas.documents.manifests import ModelManifest
from atlas.documents.stored import put_document
from atlas.ids import Cid
from atlas.models.files import model_manifest
from atlas.spec.job import JobSpec, TaskSpec
from node_agent.tasks.inputs import prepare_order
from node_agent.tasks.run_here import run_trainer
from node_agent.tasks.trainer_files import TrainerOrder
from resources.errors import CoordinatorError

NEEDED = ("torch", "transformers", "peft", "dagster_pipes")

MakeAdapter = Callable[[JobSpec, ModelManifest, Path, Path], Path]
"""Makes the untrained adapter of a job; gets the model cache and an empty folder for the file."""
TrainUpdate = Callable[[TaskSpec, Path, ContentStore, Path, Path], Path]
"""Trains one task on this machine; gets its rows, the store, the model cache and an empty folder for the file."""


def make_untrained_adapter(spec: JobSpec, model: ModelManifest, cache: Path, folder: Path) -> Path:
    """The adapter of round 0, which the spec's seed defines.

    Raises `CoordinatorError` where torch is not installed, `TrainerFailed` with the end of the child's output.
    """
    return _run(
        TrainerOrder(
            kind="initialize",
            task_id=spec.cid,
            spec=spec,
            model=model,
            cache=cache,
            threads=1,
            device="cpu",
            parent=os.getpid(),
        ),
        folder,
        f"The untrained adapter of job {spec.name!r}",
    )


def train_update(task: TaskSpec, rows: Path, store: ContentStore, cache: Path, folder: Path) -> Path:
    """The update of a task, trained on `rows` on all of this machine's processors, or on its GPU if any.

    The update stays on this machine, so it is not compressed. Raises as `make_untrained_adapter` does.
    """
    put_document(store, task)
    order = prepare_order(task, rows, None, store, cache, os.cpu_count() or 1, None)
    order = order.model_copy(update={"compression": CompressionSpec()})
    return _run(order, folder, f"The update of the reference rows in round {task.round}")


def rebuilt_untrained_adapter(spec: JobSpec, cache: Path) -> Cid:
    """CID of the adapter of round 0, computed again from the model on this machine.

    Raises as `make_untrained_adapter` does.
    """
    model = model_manifest(spec.model.source, spec.model.revision, cache)
    with tempfile.TemporaryDirectory() as folder:
        return cid_of_file(make_untrained_adapter(spec, model, cache, Path(folder)))


def refuse_without_trainer(what: str) -> None:
    """Raise `CoordinatorError`, which says that `what` needs them, unless the packages of a trainer are installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CoordinatorError(
            f"{what} needs packages that are not installed on this machine: {', '.join(missing)}. Install "
            "atlas-pipelines[node] here, or run this on a machine that has it."
        )


def _run(order: TrainerOrder, folder: Path, what: str) -> Path:
    refuse_without_trainer(what)
    result = run_trainer(order, folder, os.environ)
    if result.adapter is None:
        raise CoordinatorError(f"{what} was not made: its trainer ended without a result.")
    return result.adapter
