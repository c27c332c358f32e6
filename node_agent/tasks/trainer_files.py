"""The files between agent and trainer: `task.json`, what to do, and `result.json` or `failure.json`, its outcome."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from atlas.aggregation.compression.settings import CompressionSpec
from atlas.aggregation.files.factors import Factor
from atlas.documents.manifests import Environment, ModelManifest, TrainingPoint
from atlas.errors import AtlasError, DivergedError, NothingToPredict, SpecError
from atlas.ids import Cid, TaskId
from atlas.spec.job import JobSpec
from atlas.unexpected import describe_error, one_line
from node_agent.errors import FailureKind
from node_agent.home.json_file import JsonFile

EXIT_STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: stopped cleanly on request."""

RESULT, FAILURE = "result.json", "failure.json"

EXIT_FAILED = 1
"""The trainer failed, and has written the reason."""


class EvaluatedAdapter(BaseModel):
    """A checkpoint to evaluate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: Cid
    adapter: Path
    merged: list[Path] = Field(default_factory=list)


TASK_ENDED = b'{"atlas_trainer":"waits"}\n'
"""The line that a trainer prints when its task has succeeded and it waits for the next one."""


class TrainerCall(BaseModel):
    """The line on a waiting trainer's standard input: a task's work folder, its log and its Dagster Pipes variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    log: Path
    pipes: dict[str, str]

    def line(self) -> bytes:
        """This call as a line of JSON."""
        return self.model_dump_json().encode() + b"\n"


class TrainerOrder(JsonFile):
    """One task with all of its inputs as verified local files.

    `train` needs `data` and `base_adapter`; `evaluate` needs `data` and `adapters`; `initialize`, which makes the
    untrained adapter on the CPU, needs nothing more.
    """

    kind: Literal["train", "evaluate", "initialize"]
    task_id: TaskId
    spec: JobSpec
    model: ModelManifest
    cache: Path
    threads: int
    device: str | None
    parent: int
    """Process id of the agent; the trainer ends when the agent ends."""
    data: Path | None = None
    """The rows."""
    seed: int = 0
    base_adapter: Path | None = None
    merged: list[Path] = Field(default_factory=list)
    """Low-rank factors that join the base model's weights before the adapter is loaded, oldest first."""
    frozen: Factor | None = None
    """The LoRA factor that stays as it is in this round."""
    rank: int | None = None
    """The LoRA rank to train at; None for the spec's."""
    resume: Path | None = None
    compression: CompressionSpec = CompressionSpec()
    """The compression of the update; by default none."""
    residual: Path | None = None
    """The residual of earlier compression, to be added to this update."""
    adapters: list[EvaluatedAdapter] = Field(default_factory=list)
    sample_rows: int | None = None
    """The number of rows on which the adapters after the second are evaluated."""


KINDS: dict[type[AtlasError], FailureKind] = {
    DivergedError: "diverged",
    NothingToPredict: "targets",
    SpecError: "spec",
}
"""Errors that do not depend on the machine. A missing model, a lost file or a full disk does."""


def failure_kind(folder: Path) -> FailureKind | None:
    """The kind of failure that the trainer of a work folder wrote; None if it is no known one."""
    written = folder / FAILURE
    return TrainerFailure.read(written).kind if written.exists() else None


def failure_reason(folder: Path, printed: str) -> str:
    """Why the trainer of a work folder failed, on one line: its written reason, or else the end of its output."""
    written = folder / FAILURE
    return TrainerFailure.read(written).reason if written.exists() else one_line(printed) or "it printed nothing."


class TrainerFailure(JsonFile):
    """Why a trainer that ended with exit code 1 has no result."""

    reason: str
    """One line; the trainer's log has the traceback."""
    kind: FailureKind | None = None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The failure of an error, with its kind if another machine would repeat it."""
        kinds = [kind for known, kind in KINDS.items() if isinstance(error, known)]
        return cls(reason=describe_error(error), kind=kinds[0] if kinds else None)


class TrainerResult(JsonFile):
    """The output of a finished trainer."""

    adapter: Path | None = None
    """The adapter; if it was compressed, in its decoded form."""
    encoded: Path | None = None
    """The compressed adapter, if it was compressed."""
    residual: Path | None = None
    """The new residual of the compression."""
    steps: int = 0
    losses: list[TrainingPoint] = Field(default_factory=list)
    rows_seen: int = 0
    tokens_seen: int = 0
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict)
    environment: Environment
    resumed: bool = False
    """Whether training resumed from `resume`; a checkpoint that does not fit is ignored."""
    added: str | None = None
    """CID of the residual that was added to the update."""
