"""Runs a trainer without a lease or a bus: only an order and its result."""

import logging
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from node_agent.errors import NoProgress, TrainerFailed
from node_agent.tasks.standstill import LOOKS_PER_LIMIT, Standstill
from node_agent.tasks.trainer_files import FAILURE, RESULT, TrainerOrder, TrainerResult, failure_reason
from node_agent.tasks.trainer_process import tail, trainer_command, trainer_environment

log = logging.getLogger(__name__)


def run_trainer(order: TrainerOrder, folder: Path, environment: Mapping[str, str]) -> TrainerResult:
    """Run an order in a child process in `folder` and wait for its result. Blocks.

    `environment` is this process's own; the trainer gets the same part of it as on a node. `order.parent` must be the
    id of this process, with which the trainer ends. Raises `TrainerFailed` with the trainer's reason, or when it made
    no progress for the `fleet.progress_seconds` of the job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / RESULT
    for earlier in (result, folder / FAILURE):
        earlier.unlink(missing_ok=True)
    order.write(folder / "task.json")
    gpu = "" if order.device == "cpu" else None
    path, messages = folder / "worker.log", folder / "messages.log"
    with path.open("wb") as output, messages.open("wb") as reports:
        process = subprocess.Popen(
            trainer_command("--task", str(folder)),
            cwd=folder,
            env=trainer_environment(environment, order.threads, gpu, order.cache),
            stdin=subprocess.DEVNULL,
            stdout=reports,
            stderr=output,
        )
        try:
            code = _wait(process, messages, order.spec.fleet.progress_seconds)
        except NoProgress as error:
            raise TrainerFailed(
                f"The trainer of task {order.task_id} {error}. Check this machine's disk, or raise "
                "fleet.progress_seconds of the job."
            ) from error
        finally:
            process.kill()
            process.wait()
    if code != 0:
        printed = tail(path, 0)
        log.error("the trainer of task %s ended with exit code %d:\n%s", order.task_id, code, printed)
        reason = failure_reason(folder, printed)
        raise TrainerFailed(f"The trainer of task {order.task_id} ended with exit code {code}: {reason}")
    return TrainerResult.read(result)


def _wait(process: subprocess.Popen[bytes], messages: Path, seconds: float) -> int:
    """The exit code; raises `NoProgress` once the trainer's messages have not grown for so many seconds."""
    standstill = Standstill(seconds)
    while not standstill.look(messages.stat().st_size, time.monotonic()):
        with suppress(subprocess.TimeoutExpired):
            return process.wait(seconds / LOOKS_PER_LIMIT)
    raise NoProgress(f"made no progress for {seconds:g} s")
