"""Task plans: a batch of leases names one plan on chain instead of one CID per task, which saves fees per byte."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from atlas.documents.document import Document, JobNumber, Positive, Value
from atlas.documents.manifests import CidField
from atlas.ids import Cid, JobId
from atlas.spec.job import TaskSpec


class PlannedTask(Value):
    """The task of one attempt at one slot."""

    slot: int = Field(ge=0)
    attempt: Positive
    task: CidField = Field(description="CID of the TaskSpec")


class TaskPlan(Document):
    """The tasks of one batch of leases. A lease names its plan by CID; slot and attempt identify the task in it."""

    kind: Literal["plan"] = "plan"
    contract: str
    job_id: JobNumber
    round: Positive
    tasks: Annotated[list[PlannedTask], Field(min_length=1, description="by slot, each slot once")]

    @model_validator(mode="after")
    def _slots_rise(self) -> Self:
        slots = [planned.slot for planned in self.tasks]
        if slots != sorted(set(slots)):
            raise ValueError(f"tasks: expected rising slots, each once, found {slots[:20]}")
        return self

    @classmethod
    def over(cls, tasks: Sequence[TaskSpec]) -> Self:
        """The plan of these tasks, given in any order; raises `ValueError` unless all are of one round."""
        rounds = {(task.contract, task.job_id, task.round) for task in tasks}
        if len(rounds) != 1:
            raise ValueError(f"a plan holds tasks of one round, found {sorted(rounds)}")
        contract, job_id, round_ = rounds.pop()
        planned = [PlannedTask(slot=task.slot, attempt=task.attempt, task=task.cid) for task in tasks]
        planned.sort(key=lambda one: one.slot)
        return cls(contract=contract, job_id=job_id, round=round_, tasks=planned)

    def tasks_in(self, contract: str, job_id: JobId, round_: int) -> dict[tuple[int, int], Cid]:
        """CIDs of the TaskSpecs by (slot, attempt); empty if the plan is of another round."""
        if (self.contract, self.job_id, self.round) != (contract, job_id, round_):
            return {}
        return {(planned.slot, planned.attempt): planned.task for planned in self.tasks}
