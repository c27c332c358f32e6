"""A trainer's command, environment and output."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import node_agent

PIPES_MARK = b'{"__dagster_pipes_version"'
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


def trainer_environment(environment: Mapping[str, str], threads: int, gpu: str | None, cache: Path) -> dict[str, str]:
    """The whole environment of a trainer. `gpu` is the value of `CUDA_VISIBLE_DEVICES`; None leaves it unset."""
    kept = {name: environment[name] for name in sorted(PASSED_ON) if name in environment}
    packages = str(Path(node_agent.__file__).parents[1])
    threading = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {
        **kept,
        **threading,
        **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}),
        "PYTHONPATH": os.pathsep.join([packages, *filter(None, [kept.get("PYTHONPATH")])]),
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(cache / "huggingface"),
    }


def trainer_command(*arguments: str) -> list[str]:
    """The command of a trainer; -P prevents imports of files in its work folder."""
    return [sys.executable, "-P", "-u", "-m", "node_agent.trainer", *arguments]


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
