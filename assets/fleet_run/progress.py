"""Whoever watches a round while it runs."""

from resources.dispatch.outcomes import TaskOutcome, TaskUpdate


class Progress:
    """Hears of a round as it goes; this one hears and does nothing, since Dagster's own events are enough."""

    def note(self, text: str) -> None:
        """One line about the job, such as how many rows were read."""

    def passing(self, text: str) -> None:
        """How far something is, such as the rows read so far. Called often; each text replaces the one before."""

    def task(self, update: TaskUpdate) -> None:
        """News of one task, often several a second; called in the thread that runs the round."""

    def ended(self, outcome: TaskOutcome) -> None:
        """A task's result is in and paid for, or there will be none in this run."""
