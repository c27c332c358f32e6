"""One trainer process: started in its own session, read line by line, stopped by SIGTERM or SIGKILL."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node_agent

PIPES_MARK = b'{"__dagster_pipes_version"'
LONGEST_LINE = 8 << 20
TAIL_BYTES = 4000
PASSED_ON = frozenset(
    {
        "CUDA_HOME",
        "CUDA_PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONPATH",
        "SYSTEMROOT",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
    }
)
"""The variables of the agent's environment that a trainer gets; none that could hold a secret."""


@dataclass(frozen=True)
class TrainerExit:
    """How a trainer ended: its exit code (negative: the signal that killed it) and the end of its output."""

    code: int
    tail: str

    @property
    def killed(self) -> bool:
        """Whether a signal ended it, so that it wrote no reason: out of memory, a crash, a kill."""
        return self.code < 0


def trainer_environment(
    environment: Mapping[str, str], pipes: Mapping[str, str], threads: int, gpu: str | None, cache: Path
) -> dict[str, str]:
    """The whole environment of a trainer. `gpu` is the value of `CUDA_VISIBLE_DEVICES`; None leaves it unset."""
    kept = {name: environment[name] for name in sorted(PASSED_ON) if name in environment}
    packages = str(Path(node_agent.__file__).parents[1])
    threading = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {
        **kept,
        **threading,
        **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
        **pipes,
        "PYTHONPATH": os.pathsep.join([packages, *filter(None, [kept.get("PYTHONPATH")])]),
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(cache / "huggingface"),
    }


def trainer_command(folder: Path) -> list[str]:
    """The command that runs the task in `folder`; -P prevents imports of files in that folder."""
    return [sys.executable, "-P", "-u", "-m", "node_agent.trainer", "--task", str(folder)]


class Trainer:
    """A running trainer. `on_message` gets each Dagster Pipes message; everything else is appended to `log`."""

    def __init__(
        self, command: Sequence[str], folder: Path, log: Path, on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        self._command = command
        self._folder = folder
        self._log = log
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def run(self, environment: Mapping[str, str]) -> TrainerExit:
        """Start the process and wait for its end; when this is cancelled, the process is killed first."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            begin = log.tell()
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=LONGEST_LINE,
            )
            try:
                if self._stopping:
                    process.terminate()
                assert process.stdout is not None  # noqa: S101 - asked for two lines above
                async for line in process.stdout:
                    message = parse_pipes(line)
                    if message is None:
                        log.write(line)
                        log.flush()
                    else:
                        self._on_message(message)
                code = await process.wait()
            finally:
                _kill_group(process)
                await process.wait()
        return TrainerExit(code, tail(self._log, begin))

    def stop(self) -> None:
        """Ask the trainer to save its work and end (SIGTERM)."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the trainer and the processes that it started."""
        self._stopping = True
        if self._process is not None:
            _kill_group(self._process)


def _kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill the trainer's process group, unless the trainer has ended: its id may be reused then."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


def parse_pipes(line: bytes) -> dict[str, Any] | None:
    """The Pipes message in a line of output, or None."""
    if not line.startswith(PIPES_MARK):
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def tail(log: Path, begin: int) -> str:
    """The end of a log, from byte `begin` on; at most `TAIL_BYTES`."""
    with log.open("rb") as file:
        file.seek(max(begin, log.stat().st_size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace").strip()
