"""The supervisor's start steps, as lines of JSON in its log; the command that started it reads them."""

import json
import sys
from pathlib import Path


def announce(step: str) -> None:
    """Write a start step to the supervisor's standard output."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")
    sys.stdout.flush()


class StepReader:
    """Reads the steps that a supervisor writes to its log from byte `offset` on."""

    def __init__(self, log: Path, offset: int) -> None:
        self._log = log
        self._offset = offset

    def new(self) -> list[str]:
        """The steps since the last call; other lines and incomplete lines are skipped."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._offset += sum(map(len, whole))
        return [step for line in whole if (step := _step_of(line)) is not None]


def _step_of(line: bytes) -> str | None:
    if not line.startswith(b'{"step":'):
        return None
    try:
        return str(json.loads(line)["step"])
    except ValueError:
        return None
