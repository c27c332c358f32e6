"""A worker for work of one's own: no lease, no bus, only a work order and its result."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from node_agent.errors import TrainerFailed
from node_agent.executor import tail, trainer_environment, worker_command
from node_agent.work_order import WorkOrder, WorkResult


def run_worker(order: WorkOrder, folder: Path, environment: Mapping[str, str]) -> WorkResult:
    """Run an order in a child process in `folder` and wait for its result. Blocks.

    `environment` is this process's own; the worker gets of it what a trainer gets. `order.parent` must be the id of
    this process, whose end is the worker's end. Raises `TrainerFailed` with the worker's last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    order.write(folder / "task.json")
    gpu = "" if order.device == "cpu" else None
    path = folder / "worker.log"
    with path.open("wb") as log:
        done = subprocess.run(
            worker_command(folder),
            cwd=folder,
            env=trainer_environment(environment, {}, order.threads, gpu, order.cache),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            check=False,
        )
    if done.returncode != 0:
        said = tail(path, 0) or "it said nothing."
        raise TrainerFailed(f"The worker of task {order.task_id} ended with exit code {done.returncode}: {said}")
    return WorkResult.read(result)
