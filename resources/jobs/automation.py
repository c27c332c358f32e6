"""The events on which a job is ordered again: kept beside its order, so that they can be changed for an open job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from atlas.spec.job import JOB_NAME
from resources.jobs.kept_by_job import KeptByJob
from resources.jobs.schedules import JobSchedule, MonthlyBudget

OtherJob = Annotated[str, Field(pattern=JOB_NAME)] | None


class JobAutomation(BaseModel):
    """The field `automation` of a job's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_new_data: bool = Field(default=False, description="when the source has another version than the one last read")
    on_new_base: OtherJob = Field(default=None, description="when a model of this other job is promoted")
    after: OtherJob = Field(default=None, description="when this other job, or its newest retraining, has finished")
    monthly_budget: MonthlyBudget = Field(
        default=None, description="most micro-units that the job's retrainings of one calendar month may escrow"
    )

    @model_validator(mode="after")
    def _has_an_event(self) -> Self:
        if not self.on_new_data and self.on_new_base is None and self.after is None:
            raise ValueError("automation: no event is given. Set on_new_data, on_new_base or after, or leave it out")
        return self

    @classmethod
    def from_value(cls, value: object) -> "JobAutomation":
        """Validate the value of `automation` in a job's file; raises `SpecError` that names each bad field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise SpecError(f"The job's automation is not valid:\n{describe_validation(error, cls)}") from error


class RetrainingRules(NamedTuple):
    """When a job is ordered again: the fields of its file beside the order."""

    schedule: JobSchedule | None = None
    automation: JobAutomation | None = None

    @classmethod
    def from_values(cls, schedule: object, automation: object) -> "RetrainingRules":
        """Validate both values; None for one that is not given. Raises `SpecError` that names each bad field."""
        return cls(
            None if schedule is None else JobSchedule.from_value(schedule),
            None if automation is None else JobAutomation.from_value(automation),
        )


class JobAutomations(KeptByJob[JobAutomation]):
    """The automations in the coordinator's SQLite file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "automations", "automation", JobAutomation)

    def put(self, job: str, budget: int, setting: JobAutomation | None) -> None:
        """As `KeptByJob.put`; raises `SpecError` if the job would be ordered again after itself."""
        if setting is not None:
            self.refuse_circle(job, setting)
        super().put(job, budget, setting)

    def refuse_circle(self, job: str, automation: JobAutomation) -> None:
        """Raise `SpecError` if jobs would order each other again forever, because each waits for another's end."""
        waits = {name: kept.after for name, (_, kept) in self.all().items() if kept.after} | {job: automation.after}
        circle = _circle(job, waits)
        if circle:
            raise SpecError(
                f"automation.after: {' after '.join(circle)} would order these jobs again and again without end. Give "
                "another job, or change the automation of one of the others."
            )


def _circle(job: str, waits: Mapping[str, str | None]) -> list[str]:
    """The jobs from `job` along `waits` back to it; [] if the way ends elsewhere."""
    path = [job]
    while (following := waits.get(path[-1])) is not None:
        path.append(following)
        if following == job:
            return path
        if following in path[:-1]:
            break  # a circle without this job, from an edited file
    return []
