"""Execute a trainer's order by its kind. The training libraries are imported here, and only for the kind at hand."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_pipes import PipesContext

from atlas import activity
from atlas.content.format.cid import cid_of_file
from atlas.errors import TrainingError
from node_agent.errors import NodeError
from node_agent.imports import report_imports
from node_agent.tasks.reporting import Reporter, StopSwitch
from node_agent.tasks.trainer_files import TrainerOrder, TrainerResult

if TYPE_CHECKING:
    from atlas.training.progress import Progress


def execute_order(order: TrainerOrder, folder: Path, pipes: PipesContext, switch: StopSwitch) -> TrainerResult | None:
    """Execute the order; None if training was stopped and has left a checkpoint."""
    report_imports()
    if order.kind == "initialize":
        return _initialize(order, folder)
    if order.kind == "evaluate":
        return _evaluate(order, Reporter(pipes, switch, saves_its_work=False))
    return _train(order, folder, Reporter(pipes, switch, saves_its_work=True), pipes, switch)


def _initialize(order: TrainerOrder, folder: Path) -> TrainerResult:
    from atlas.training.models.initialize import initialize

    adapter = folder / "adapter.safetensors"
    return TrainerResult(
        adapter=adapter, environment=initialize(order.spec, order.model, order.cache, adapter, order.threads)
    )


def _train(
    order: TrainerOrder, folder: Path, reporter: Reporter, pipes: PipesContext, switch: StopSwitch
) -> TrainerResult | None:
    from atlas.training.train import TrainRequest, train

    request = TrainRequest(
        spec=order.spec,
        model=order.model,
        shard=_needed(order.data, "data"),
        base_adapter=_needed(order.base_adapter, "base_adapter"),
        seed=order.seed,
        work=folder,
        cache=order.cache,
        merged=tuple(order.merged),
        frozen=order.frozen,
        rank=order.rank,
        resume=order.resume,
        device=order.device,
        threads=order.threads,
    )
    try:
        result = train(request, reporter.progress, reporter.checkpoint, lambda: switch.requested, warn=reporter.warn)
    except TrainingError as error:
        if request.resume is None or reporter.started:
            raise
        # Another node's bad checkpoint must not fail every later attempt.
        pipes.log.warning(f"starting from the beginning, because the checkpoint cannot be used: {error}")
        request = replace(request, resume=None)
        result = train(request, reporter.progress, reporter.checkpoint, lambda: switch.requested, warn=reporter.warn)
    if not result.finished:
        return None
    finished = TrainerResult(
        adapter=result.adapter,
        steps=result.step,
        losses=result.losses,
        rows_seen=result.rows_seen,
        tokens_seen=result.tokens_seen,
        environment=result.environment,
        resumed=request.resume is not None,
    )
    return finished if order.compression.codec == "none" else _compress(finished, order, folder)


def _compress(result: TrainerResult, order: TrainerOrder, folder: Path) -> TrainerResult:
    """Replace the update with its decoded form, so the node signs the bytes that the coordinator will see."""
    from atlas.aggregation.compression.wire import encode_update

    activity.begin("compressing the update")
    update, base = _needed(result.adapter, "adapter"), _needed(order.base_adapter, "base_adapter")
    encoded = encode_update(update, base, order.compression, order.residual, folder)
    added = None if order.residual is None else cid_of_file(order.residual)
    made = {"adapter": encoded.decoded, "encoded": encoded.file, "residual": encoded.residual, "added": added}
    return result.model_copy(update=made)


def _needed(path: Path | None, field: str) -> Path:
    if path is None:
        raise NodeError(f"The work order lacks {field}, which this kind of task needs.")
    return path


def _evaluate(order: TrainerOrder, reporter: Reporter) -> TrainerResult:
    from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate

    steps: list[Progress] = []

    def on_progress(progress: "Progress") -> None:
        reporter.progress(progress)
        steps[:] = [progress]

    result = evaluate(
        EvaluateRequest(
            spec=order.spec,
            model=order.model,
            rows=_needed(order.data, "data"),
            adapters=[Candidate(item.checkpoint, item.adapter, tuple(item.merged)) for item in order.adapters],
            cache=order.cache,
            sample_rows=order.sample_rows,
            device=order.device,
            threads=order.threads,
        ),
        on_progress,
        warn=reporter.warn,
    )
    last = steps[-1] if steps else None
    return TrainerResult(
        steps=last.step if last else 0,
        rows_seen=last.rows_seen if last else 0,
        tokens_seen=last.tokens_seen if last else 0,
        metrics=result.metrics,
        environment=result.environment,
    )
