"""A slot's trainer: a process in its own session, read line by line, stopped by SIGTERM or SIGKILL.

The imports of a trainer take many seconds of CPU time. So a process whose task has succeeded waits for another task of
the same job, which starts with a fresh model and fresh random numbers and gives the same bytes as in a new process.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from atlas.ids import Cid
from node_agent.tasks.trainer_files import TASK_ENDED, TrainerCall
from node_agent.tasks.trainer_process import TrainerExit, parse_pipes, tail

LONGEST_LINE = 8 << 20


class TrainerSlot:
    """Starts the trainers of a slot, one at a time, and keeps one for the next task of its job."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], keep_seconds: float) -> None:
        """`keep_seconds` is how long a process waits for another task; 0: each task gets a new process."""
        self._command = command
        self._environment = dict(environment)
        self._keep_seconds = keep_seconds
        self._kept: asyncio.subprocess.Process | None = None
        self._job: Cid | None = None
        self._expiry: asyncio.TimerHandle | None = None

    async def take(self, job: Cid | None) -> asyncio.subprocess.Process | None:
        """The process that waits for a task of this job, if there is one; any other that waits is ended."""
        process, self._kept = self._kept, None
        if self._expiry is not None:
            self._expiry.cancel()
        if process is None or (job is not None and job == self._job and process.returncode is None):
            return process
        await end(process)
        return None

    async def start(self, folder: Path, log: BinaryIO) -> asyncio.subprocess.Process:
        """A new process, which writes its errors to `log`."""
        return await asyncio.create_subprocess_exec(
            *self._command,
            cwd=folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            limit=LONGEST_LINE,
        )

    async def keep(self, process: asyncio.subprocess.Process, job: Cid | None) -> None:
        """Keep a process whose task has succeeded; without a job it is ended."""
        if job is None or self._keep_seconds == 0:
            await end(process)
            return
        self._kept, self._job = process, job
        self._expiry = asyncio.get_running_loop().call_later(self._keep_seconds, kill, process)

    async def close(self) -> None:
        """End the process that waits."""
        await self.take(None)


class Trainer:
    """One task's use of a slot. `on_message` gets each Dagster Pipes message; everything else is appended to the log.

    `job` None: the task reads private rows, so its process takes no other task.
    """

    def __init__(
        self, slot: TrainerSlot, call: TrainerCall, job: Cid | None, on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        self._slot = slot
        self._call = call
        self._job = job
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def run(self) -> TrainerExit:
        """Run the task and wait for its end; when this is cancelled, the process is killed first."""
        self._call.log.parent.mkdir(parents=True, exist_ok=True)
        with self._call.log.open("ab") as log:
            begin = log.tell()
            kept = await self._slot.take(self._job)
            if kept is not None:
                code, answered = await self._run_in(kept, log)
            if kept is None or not (answered or self._stopping):  # the kept process was killed while it waited
                code, _ = await self._run_in(await self._slot.start(self._call.folder, log), log)
        return TrainerExit(code, tail(self._call.log, begin))

    async def _run_in(self, process: asyncio.subprocess.Process, log: BinaryIO) -> tuple[int, bool]:
        """The exit code, or 0 if the process waits for another task; and whether it printed anything."""
        self._process = process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - `start` asks for both
        answered = succeeded = False
        try:
            with suppress(ConnectionError):  # the process has ended; its exit code says how
                process.stdin.write(self._call.line())
                await process.stdin.drain()
            if self._stopping:
                self.stop()
            async for line in process.stdout:
                if succeeded := line == TASK_ENDED:
                    break
                answered = True
                message = parse_pipes(line)
                if message is None:
                    log.write(line)
                    log.flush()
                else:
                    self._on_message(message)
            return 0 if succeeded else await process.wait(), answered
        finally:
            self._process = None
            await (self._slot.keep(process, self._job) if succeeded else end(process))

    def stop(self) -> None:
        """Ask the trainer to save its work and end (SIGTERM)."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the trainer and the processes that it started."""
        self._stopping = True
        if self._process is not None:
            kill(self._process)


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process and wait for its end."""
    kill(process)
    await process.wait()


def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a trainer's process group, unless the trainer has ended: its id may be reused then."""
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it has ended just now, and asyncio will say so
            os.killpg(process.pid, signal.SIGKILL)
