"""Decides which content must stay, and why. Pure: uses of content come in, reasons to keep it go out."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from atlas.ids import Cid
from atlas.spec.job import read_mapping

Part = Literal["order", "data", "record", "weights", "update", "passing", "upload"]
"""The role of content in its job.

order: the documents that define it, and its held-out rows · data: shards and reference rows · record: plans, tasks,
receipts, manifests, checkpoints, evidence, diagnostics, all of them small · weights: the files of the job's result and
of its ancestors · update: the updates that were aggregated into these checkpoints · passing: content that a round needs
only while it runs, such as checkpoints that leave out one update · upload: what a node names and the coordinator may
never have read: refused and encoded updates, residuals, training checkpoints; it is kept as long as `passing`.
"""


class JobRetention(BaseModel):
    """Retention settings of one job that differ from the general ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_rounds: int | None = Field(default=None, ge=1)
    keep_updates: bool | None = None


class RetentionSettings(BaseModel):
    """What is kept of a job that is over; of other jobs, everything is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_rounds: int = Field(default=3, ge=1, description="number of newest checkpoints of each job whose files stay")
    keep_updates: bool = Field(default=True, description="whether shards and updates stay, so that all can be verified")
    unused_hours: float = Field(default=24.0, ge=0, description="content used within this time is not removed")
    jobs: dict[str, JobRetention] = Field(default_factory=dict, description="by the job's name")

    def of(self, job: str) -> tuple[int, bool]:
        """`keep_rounds` and `keep_updates` of one job."""
        own = self.jobs.get(job, JobRetention())
        return (
            self.keep_rounds if own.keep_rounds is None else own.keep_rounds,
            self.keep_updates if own.keep_updates is None else own.keep_updates,
        )


def read_retention(path: Path) -> RetentionSettings:
    """The settings in a YAML file, or the defaults when there is none; raises `SpecError` that names each bad field."""
    if not path.exists():
        return RetentionSettings()
    try:
        return RetentionSettings.model_validate(read_mapping(path))
    except ValidationError as error:
        raise SpecError(
            f"{path} is not a valid retention file:\n{describe_validation(error, RetentionSettings)}"
        ) from error


@dataclass(frozen=True)
class Use:
    """One use of a CID by a job."""

    cid: Cid
    part: Part
    what: str
    """Such as `shard s000`."""
    round: int = 0
    """0 for the job as a whole, and for its untrained adapter."""


@dataclass(frozen=True)
class JobUses:
    """All uses of content by a job."""

    name: str
    held_by: str | None
    """Why everything of the job stays, such as `is open`; None when the job is over and every round of it settled."""
    uses: tuple[Use, ...]


class Reason(NamedTuple):
    """Why a CID stays."""

    because: str
    """The cause, such as `job sentiment is open`."""
    what: str
    """The content's role there."""

    def __str__(self) -> str:
        return f"{self.because}: {self.what}"


@dataclass(frozen=True)
class Survey:
    """All uses of content."""

    jobs: tuple[JobUses, ...]
    others: dict[Cid, Reason]
    """Content that is kept independently of jobs: models and node manifests."""

    def needed(self, settings: RetentionSettings) -> dict[Cid, Reason]:
        """Each CID that must stay, with the first reason for it."""
        found = dict(self.others)
        for job in self.jobs:
            for use, because in _kept(job, settings):
                found.setdefault(use.cid, Reason(because, _described(use)))
        return found

    def expected(self, settings: RetentionSettings, removed: Collection[tuple[str, Cid]]) -> dict[Cid, Reason]:
        """Each CID that must have a copy here, with the first reason for it.

        That is what is needed, except what only its node may have, and what a collection removed from a job: `removed`
        has pairs (job, CID).
        """
        found = dict(self.others)
        for job in self.jobs:
            for use, because in _kept(job, settings):
                if use.part != "upload" and (job.name, use.cid) not in removed:
                    found.setdefault(use.cid, Reason(because, _described(use)))
        return found

    def users(self, cids: Collection[Cid]) -> set[tuple[str, Cid]]:
        """The pairs (job, CID) of the jobs that use one of these CIDs."""
        return {(job.name, use.cid) for job in self.jobs for use in job.uses if use.cid in cids}

    def uses(self, cid: Cid) -> str:
        """All uses of a CID, as text; empty if there are none."""
        return "; ".join(self._named.get(cid, ()))

    @cached_property
    def _named(self) -> dict[Cid, dict[str, None]]:
        found: dict[Cid, dict[str, None]] = {cid: {str(reason): None} for cid, reason in self.others.items()}
        for job in self.jobs:
            for use in job.uses:
                found.setdefault(use.cid, {})[f"{job.name}, {_described(use)}"] = None
        return found


def _kept(job: JobUses, settings: RetentionSettings) -> Iterator[tuple[Use, str]]:
    """The uses of a job whose content stays, each with the reason."""
    if job.held_by is not None:
        yield from ((use, f"job {job.name} {job.held_by}") for use in job.uses)
        return
    keep_rounds, keep_updates = settings.of(job.name)
    newest = newest_checkpoints(job.uses, keep_rounds)
    for use in job.uses:
        if use.part in ("order", "record"):
            yield use, f"record of job {job.name}"
        elif use.part == "weights" and use.round in newest:
            yield use, f"newest checkpoints of job {job.name}"
        elif use.part not in ("passing", "upload") and keep_updates:
            yield use, f"proof of job {job.name}"


def newest_checkpoints(uses: Iterable[Use], count: int) -> set[int]:
    """The rounds of the newest checkpoints; round 0 has the untrained adapter."""
    return set(sorted({use.round for use in uses if use.part == "weights"})[-count:])


def _described(use: Use) -> str:
    return f"round {use.round}, {use.what}" if use.round else use.what
