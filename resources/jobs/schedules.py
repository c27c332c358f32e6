"""When a job is ordered again: kept beside its order, so that it can be changed for an open job."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from atlas.disk.sqlite_tables import SqliteTables
from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from resources.coordinator_file import coordinator_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS schedules (job TEXT PRIMARY KEY, budget INTEGER NOT NULL, schedule TEXT NOT NULL) STRICT;
"""


class JobSchedule(BaseModel):
    """The field `schedule` of a job's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(description="five fields (minute, hour, day, month, weekday), such as 0 3 * * 1")
    timezone: str = Field(default="UTC", description="a name of the IANA database, such as Europe/Berlin")
    enabled: bool = Field(default=False, description="whether the schedule runs without being turned on in the UI")
    monthly_budget: Annotated[int, Field(gt=0, lt=2**53)] | None = Field(
        default=None, description="most micro-units that its orders may escrow in one calendar month"
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


class JobSchedules:
    """The schedules in the coordinator's SQLite file."""

    def __init__(self, path: Path) -> None:
        self._tables = SqliteTables(coordinator_file(path), SCHEMA)

    def put(self, job: str, budget: int, schedule: JobSchedule | None) -> None:
        """Set a job's schedule, None for none; `budget` is what one order of the job escrows, in micro-units."""
        with self._tables.writing() as db:
            db.execute("DELETE FROM schedules WHERE job = ?", (job,))
            if schedule is not None:
                db.execute("INSERT INTO schedules VALUES (?, ?, ?)", (job, budget, schedule.model_dump_json()))

    def get(self, job: str) -> tuple[int, JobSchedule] | None:
        """The budget of one order of a job, and the job's schedule; None for a job without a schedule."""
        return self.all().get(job)

    def all(self) -> dict[str, tuple[int, JobSchedule]]:
        """Budget and schedule of each job that has a schedule, by the job's name, sorted."""
        with self._tables.reading() as db:
            rows = db.execute("SELECT job, budget, schedule FROM schedules ORDER BY job").fetchall()
        return {job: (budget, JobSchedule.model_validate_json(text)) for job, budget, text in rows}
