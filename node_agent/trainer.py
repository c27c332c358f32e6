"""The trainer: `python -u -m node_agent.trainer --task FOLDER` for one task, `--wait FOLDER` for tasks of one job.

It reads task.json in the task's folder, prints Dagster Pipes messages, and writes result.json at the end. Exit codes: 0
done, 75 stopped on SIGTERM, 1 failed: failure.json has the reason on one line, standard error the traceback of an
unexpected error. With --wait it reads one `TrainerCall` per line of standard input, and ends when a task fails or is
stopped, or when the input ends.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster_pipes
from dagster_pipes import (
    PipesContext,
    PipesDefaultContextLoader,
    PipesDefaultMessageWriter,
    PipesMappingParamsLoader,
)

from atlas import activity
from atlas.errors import AtlasError
from atlas.ids import TaskId
from atlas.unexpected import traceback_text
from node_agent.tasks.execution import execute_order
from node_agent.tasks.lifeline import die_with
from node_agent.tasks.progress_messages import StageReports
from node_agent.tasks.reporting import StopSwitch, TrainerStopped
from node_agent.tasks.trainer_files import (
    EXIT_FAILED,
    EXIT_STOPPED,
    FAILURE,
    RESULT,
    TASK_ENDED,
    TrainerCall,
    TrainerFailure,
    TrainerOrder,
)

CONTEXT, MESSAGES = dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR, dagster_pipes.DAGSTER_PIPES_MESSAGES_ENV_VAR


def main() -> None:
    """Run the one task that the command line names, or tasks from standard input until one does not succeed."""
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--task", type=Path, help="the folder with task.json")
    which.add_argument("--wait", type=Path, help="read tasks from standard input, and wait in this folder")
    arguments = parser.parse_args()
    if arguments.task is not None:
        sys.exit(execute(arguments.task, {}))
    with suppress(TrainerStopped):
        while line := sys.stdin.readline():
            code = take(TrainerCall.model_validate_json(line))
            if code != 0:
                sys.exit(code)
            os.chdir(arguments.wait)
            gc.collect()
            sys.stdout.buffer.write(TASK_ENDED)
            sys.stdout.buffer.flush()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def take(call: TrainerCall) -> int:
    """Execute a task in its folder, with errors in its log; return the exit code."""
    with call.log.open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.chdir(call.folder)
    return execute(call.folder, call.pipes)


def execute(folder: Path, pipes_variables: Mapping[str, str]) -> int:
    """Execute the order in a folder, and return the exit code."""
    switch = StopSwitch()
    try:
        switch.install()
        order = TrainerOrder.read(folder / "task.json")
        die_with(order.parent)
        parameters = pipes_parameters(pipes_variables, order.task_id)
        with (
            # Not by `open_dagster_pipes`, which gives every task of a process the context of the first one.
            PipesContext(parameters, PipesDefaultContextLoader(), PipesDefaultMessageWriter()) as pipes,
            activity.listening(StageReports(pipes.report_custom_message)),
        ):
            result = execute_order(order, folder, pipes, switch)
        if result is not None:
            result.write(folder / RESULT)
    except (
        TrainerStopped,
        Exception,
        SystemExit,
    ) as error:  # SystemExit: a library that ends the process has no result
        if switch.raised:  # also if a library has turned `TrainerStopped` into its own error
            return EXIT_STOPPED
        TrainerFailure.of(error).write(folder / FAILURE)
        text = f"{type(error).__name__}: {error}" if isinstance(error, AtlasError) else traceback_text(error)
        sys.stderr.write(f"{text}\n")
        return EXIT_FAILED
    return EXIT_STOPPED if result is None else 0


def pipes_parameters(environment: Mapping[str, str], task_id: TaskId) -> PipesMappingParamsLoader:
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
