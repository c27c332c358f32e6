"""The interface for observers of a running round."""

from resources.dispatch.outcomes import TaskOutcome, TaskUpdate


class RoundProgress:
    """Receives the progress of a running round. This default ignores it, because Dagster's events are enough."""

    def note(self, text: str) -> None:
        """One line about the job, such as how many rows were read."""

    def passing(self, text: str) -> None:
        """Transient progress, such as the rows read so far. Called often; each text replaces the previous one."""

    def task(self, update: TaskUpdate) -> None:
        """An update on one task, often several per second; called in the thread that runs the round."""

    def ended(self, outcome: TaskOutcome) -> None:
        """A task has ended: its result was received and recorded for payment, or this run will not get one."""
