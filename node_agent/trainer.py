"""The trainer: one process per task, `python -u -m node_agent.trainer --task FOLDER`.

It reads FOLDER/task.json, prints Dagster Pipes messages, and writes FOLDER/result.json at the end. Exit codes: 0 done,
75 stopped on SIGTERM, 1 failed: FOLDER/failure.json has the reason on one line, standard error the traceback of an
unexpected error.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster_pipes
from dagster_pipes import PipesContext, PipesMappingParamsLoader, open_dagster_pipes

from atlas import activity
from atlas.content.format.cid import cid_of_file
from atlas.errors import AtlasError, TrainingError
from atlas.unexpected import traceback_text
from node_agent.errors import NodeError
from node_agent.imports import report_imports
from node_agent.tasks.lifeline import die_with
from node_agent.tasks.progress_messages import StageReports
from node_agent.tasks.trainer_files import EXIT_STOPPED, FAILURE, RESULT, TrainerFailure, TrainerOrder, TrainerResult

if TYPE_CHECKING:
    from atlas.training.progress import Progress

CONTEXT, MESSAGES = dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR, dagster_pipes.DAGSTER_PIPES_MESSAGES_ENV_VAR


class TrainerStopped(BaseException):
    """SIGTERM came before there was anything to save. A `BaseException`, so that no `except Exception` catches it."""


class StopSwitch:
    """Turns SIGTERM into a flag that training checks after each step, or into `TrainerStopped` where none checks it."""

    def __init__(self) -> None:
        self.requested = False
        self.raised = False
        self.saves_its_work = False

    def install(self) -> None:
        """Install the handler of SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self.requested = True
        if not self.saves_its_work:
            self.raised = True
            raise TrainerStopped


class Reporter:
    """Reports the task's progress to the agent, and through it to the coordinator."""

    def __init__(self, pipes: PipesContext, switch: StopSwitch, saves_its_work: bool) -> None:
        self._pipes = pipes
        self._switch = switch
        self._saves_its_work = saves_its_work
        self.started = False

    def progress(self, progress: "Progress") -> None:
        """Report the progress, after each step."""
        self.started = True
        self._switch.saves_its_work = self._saves_its_work
        self._pipes.report_custom_message(
            {
                "kind": "progress",
                "step": progress.step,
                "steps": progress.steps,
                "loss": progress.loss,
                "tokens_per_second": progress.tokens_per_second,
            }
        )

    def warn(self, text: str) -> None:
        """Log a warning about the data for a person, in numbers."""
        self._pipes.log.warning(text)

    def checkpoint(self, step: int, path: Path) -> None:
        """Report a resumable checkpoint."""
        self._pipes.report_custom_message({"kind": "checkpoint", "step": step, "path": str(path)})


def main() -> None:
    """Run the one task that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="the folder with task.json")
    folder: Path = parser.parse_args().task
    switch = StopSwitch()
    try:
        switch.install()
        order = TrainerOrder.read(folder / "task.json")
        die_with(order.parent)
        with (
            open_dagster_pipes(params_loader=pipes_parameters(os.environ, order.task_id)) as pipes,
            activity.listening(StageReports(pipes.report_custom_message)),
        ):
            result = run(order, folder, pipes, switch)
        if result is not None:
            result.write(folder / RESULT)
    except (
        TrainerStopped,
        Exception,
        SystemExit,
    ) as error:  # SystemExit: a library that ends the process has no result
        if switch.raised:  # also if a library has turned `TrainerStopped` into its own error
            sys.exit(EXIT_STOPPED)
        TrainerFailure.of(error).write(folder / FAILURE)
        sys.exit(f"{type(error).__name__}: {error}" if isinstance(error, AtlasError) else traceback_text(error))
    sys.exit(EXIT_STOPPED if result is None else 0)


def run(order: TrainerOrder, folder: Path, pipes: PipesContext, switch: StopSwitch) -> TrainerResult | None:
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


def pipes_parameters(environment: Mapping[str, str], task_id: str) -> PipesMappingParamsLoader:
    """The parameters of a hint's Pipes session, or default ones if it has none.

    A hint comes from another machine, so of its variables only the context's plain data is used: Pipes itself would
    also read a context from, and write messages to, any path that they name.
    """
    context = {"asset_keys": None, "code_version_by_asset_key": None, "provenance_by_asset_key": None}
    context |= {"partition_key": None, "partition_key_range": None, "partition_time_window": None}
    data: dict[str, Any] = {**context, "run_id": task_id, "job_name": None, "retry_number": 0, "extras": {}}
    if CONTEXT in environment:
        given = dagster_pipes.decode_param(environment[CONTEXT])
        data |= given.get("data") or {}
    return PipesMappingParamsLoader(
        {
            CONTEXT: dagster_pipes.encode_param({"data": data}),
            MESSAGES: dagster_pipes.encode_param({"stdio": "stdout"}),
        }
    )


if __name__ == "__main__":
    main()
