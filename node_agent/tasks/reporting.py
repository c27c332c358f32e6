"""What a running task sends and receives: its progress to the agent, and SIGTERM from it."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_pipes import PipesContext

if TYPE_CHECKING:
    from atlas.training.progress import Progress


class TrainerStopped(BaseException):
    """SIGTERM came before there was anything to save. A `BaseException`, so that no `except Exception` catches it."""


class StopSwitch:
    """Turns SIGTERM into a flag that training checks after each step, or into `TrainerStopped` where none checks it."""

    def __init__(self) -> None:
        self.requested = False
        self.raised = False
        self.saves_its_work = False

    def install(self) -> None:
        """Install the handler of SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self.requested = True
        if not self.saves_its_work:
            self.raised = True
            raise TrainerStopped


class Reporter:
    """Reports the task's progress to the agent, and through it to the coordinator."""

    def __init__(self, pipes: PipesContext, switch: StopSwitch, saves_its_work: bool) -> None:
        self._pipes = pipes
        self._switch = switch
        self._saves_its_work = saves_its_work
        self.started = False

    def progress(self, progress: "Progress") -> None:
        """Report the progress, after each step."""
        self.started = True
        self._switch.saves_its_work = self._saves_its_work
        self._pipes.report_custom_message(
            {
                "kind": "progress",
                "step": progress.step,
                "steps": progress.steps,
                "loss": progress.loss,
                "tokens_per_second": progress.tokens_per_second,
            }
        )

    def warn(self, text: str) -> None:
        """Log a warning about the data for a person, in numbers."""
        self._pipes.log.warning(text)

    def checkpoint(self, step: int, path: Path) -> None:
        """Report a resumable checkpoint."""
        self._pipes.report_custom_message({"kind": "checkpoint", "step": step, "path": str(path)})
