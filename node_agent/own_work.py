"""A worker for work of one's own: no lease, no bus, only a work order and its result."""

import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path

from node_agent.errors import TrainerFailed
from node_agent.executor import tail, trainer_environment, worker_command
from node_agent.work_order import FAILURE, RESULT, WorkOrder, WorkResult, failure_reason

log = logging.getLogger(__name__)


def run_worker(order: WorkOrder, folder: Path, environment: Mapping[str, str]) -> WorkResult:
    """Run an order in a child process in `folder` and wait for its result. Blocks.

    `environment` is this process's own; the worker gets of it what a trainer gets. `order.parent` must be the id of
    this process, whose end is the worker's end. Raises `TrainerFailed` with its reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / RESULT
    for earlier in (result, folder / FAILURE):
        earlier.unlink(missing_ok=True)
    order.write(folder / "task.json")
    gpu = "" if order.device == "cpu" else None
    path = folder / "worker.log"
    with path.open("wb") as output:
        done = subprocess.run(
            worker_command(folder),
            cwd=folder,
            env=trainer_environment(environment, {}, order.threads, gpu, order.cache),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        printed = tail(path, 0)
        log.error("the worker of task %s ended with exit code %d:\n%s", order.task_id, done.returncode, printed)
        reason = failure_reason(folder, printed)
        raise TrainerFailed(f"The worker of task {order.task_id} ended with exit code {done.returncode}: {reason}")
    return WorkResult.read(result)
