"""Settings of jobs that the coordinator keeps beside the orders, so that they can be changed for an open job."""

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from atlas.disk.sqlite_tables import SqliteTables
from resources.coordinator_file import coordinator_file

Kind = TypeVar("Kind", bound=BaseModel)


class KeptByJob(Generic[Kind]):
    """One kind of setting of each job, in the coordinator's SQLite file."""

    def __init__(self, path: Path, table: str, column: str, kind: type[Kind]) -> None:
        """`table` and `column` are names in SQL, so they must not come from a user."""
        schema = (
            f"CREATE TABLE IF NOT EXISTS {table} "
            f"(job TEXT PRIMARY KEY, budget INTEGER NOT NULL, {column} TEXT NOT NULL) STRICT;"
        )
        self._tables = SqliteTables(coordinator_file(path), schema)
        self._delete = f"DELETE FROM {table} WHERE job = ?"  # noqa: S608 - names of our own tables
        self._insert = f"INSERT INTO {table} VALUES (?, ?, ?)"  # noqa: S608 - as above
        self._select = f"SELECT job, budget, {column} FROM {table} ORDER BY job"  # noqa: S608 - as above
        self._kind = kind

    def put(self, job: str, budget: int, setting: Kind | None) -> None:
        """Set a job's setting, None for none; `budget` is what one order of the job escrows, in micro-units."""
        with self._tables.writing() as db:
            db.execute(self._delete, (job,))
            if setting is not None:
                db.execute(self._insert, (job, budget, setting.model_dump_json()))

    def get(self, job: str) -> tuple[int, Kind] | None:
        """The budget of one order of a job, and the job's setting; None for a job without one."""
        return self.all().get(job)

    def all(self) -> dict[str, tuple[int, Kind]]:
        """Budget and setting of each job that has one, by the job's name, sorted."""
        with self._tables.reading() as db:
            rows = db.execute(self._select).fetchall()
        return {job: (budget, self._kind.model_validate_json(text)) for job, budget, text in rows}
