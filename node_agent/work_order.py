"""The two files between agent and trainer: `task.json`, what to do, and `result.json`, what came of it."""

import os
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from atlas.manifests import Environment, ModelManifest, TrainingPoint
from atlas.spec import JobSpec

EXIT_STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: asked to stop, and stopped in good order."""

FileType = TypeVar("FileType", bound="WorkFile")


class WorkFile(BaseModel):
    """A JSON file that is there whole or not at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        """Write durably."""
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; raises `OSError` or `pydantic.ValidationError`."""
        return cls.model_validate_json(path.read_bytes())


class EvaluatedAdapter(BaseModel):
    """A checkpoint to judge; without an adapter it is the untrained one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str
    adapter: Path | None


class WorkOrder(WorkFile):
    """One task with all of its inputs as verified local files."""

    kind: Literal["train", "evaluate"]
    task_id: str
    spec: JobSpec
    model: ModelManifest
    data: Path
    cache: Path
    threads: int
    device: str | None
    parent: int
    """Process id of the agent, whose end is the trainer's end."""
    seed: int = 0
    base_adapter: Path | None = None
    resume: Path | None = None
    adapters: list[EvaluatedAdapter] = []
    sample_rows: int | None = None
    """How many of the rows the adapters after the second are judged on."""


class WorkResult(WorkFile):
    """What a finished trainer hands over."""

    adapter: Path | None = None
    steps: int = 0
    losses: list[TrainingPoint] = []
    rows_seen: int = 0
    tokens_seen: int = 0
    metrics: dict[str, dict[str, float]] = {}
    environment: Environment
    resumed: bool = False
    """Whether it went on from `resume`; a checkpoint that does not fit is passed over."""
