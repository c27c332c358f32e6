"""The contents of an alert. Each hook delivers its canonical JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Event = Literal["run.failed", "run.refused", "check.failed"]


class FailedCheck(BaseModel):
    """An asset check that did not pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    check: str
    severity: str = Field(description="ERROR or WARN")
    description: str


class Alert(BaseModel):
    """One run that failed, was refused, or had a check that failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Event
    run: str = Field(description="id of the run in Dagster")
    dagster_job: str
    partition: str | None = Field(default=None, description="such as sentiment-r0002")
    job: str | None = Field(default=None, description="the job whose round the run works on")
    at: float = Field(description="Unix time of the run's end, in seconds")
    text: str = Field(description="the reason")
    checks: list[FailedCheck] = Field(default_factory=list)

    @property
    def title(self) -> str:
        """One line for a subject."""
        what = {"run.failed": "failed", "run.refused": "was refused", "check.failed": "has failed checks"}[self.event]
        return f"{self.dagster_job} {self.partition or ''} {what}".replace("  ", " ")
