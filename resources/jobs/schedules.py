"""When a job is ordered again: kept beside its order, so that it can be changed for an open job."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from resources.jobs.kept_by_job import KeptByJob

MonthlyBudget = Annotated[int, Field(gt=0, lt=2**53)] | None
"""The most micro-units that a job's retrainings of one calendar month escrow; None for no limit."""


class JobSchedule(BaseModel):
    """The field `schedule` of a job's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(description="five fields (minute, hour, day, month, weekday), such as 0 3 * * 1")
    timezone: str = Field(default="UTC", description="a name of the IANA database, such as Europe/Berlin")
    enabled: bool = Field(default=False, description="whether the schedule runs without being turned on in the UI")
    monthly_budget: MonthlyBudget = Field(
        default=None, description="most micro-units that the job's retrainings of one calendar month may escrow"
    )

    @model_validator(mode="after")
    def _dagster_takes_it(self) -> Self:
        import dagster as dg  # slow, and most job files have no schedule

        try:
            dg.ScheduleDefinition("check", job_name="check", cron_schedule=self.cron, execution_timezone=self.timezone)
        except dg.DagsterInvalidDefinitionError as error:
            field = "timezone" if "timezone" in str(error).lower() else "cron"
            raise ValueError(f"schedule.{field}: {getattr(self, field)!r} is not valid: {error}") from error
        return self

    @classmethod
    def from_value(cls, value: object) -> "JobSchedule":
        """Validate the value of `schedule` in a job's file; raises `SpecError` that names each bad field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise SpecError(f"The job's schedule is not valid:\n{describe_validation(error, cls)}") from error


class JobSchedules(KeptByJob[JobSchedule]):
    """The schedules in the coordinator's SQLite file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "schedules", "schedule", JobSchedule)
