"""The board of a running round: one line per task. Pure; `watching` draws it."""

import math
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from atlas.ids import NodeId
from atlas.spec.job import TaskSpec
from atlas.unexpected import one_line
from node_agent.tasks.progress_messages import payload_of
from resources.dispatch.outcomes import CompletedTask, TaskOutcome, TaskUpdate

STATES = {
    "assigned": "assigned",
    "moved": "assigned",
    "adopted": "taken over",
    "restarted": "started again",
    "waiting": "waiting",
    "refused": "refused",
    "lost": "lost",
}
LONGEST_STAGE = 60
MEBIBYTE = 1 << 20
LOST = "lost: "


@dataclass(frozen=True)
class Line:
    """The progress of one task."""

    label: str
    state: str = "waiting"
    stage: str = ""
    """The current activity between steps, such as loading the model."""
    node: NodeId | None = None
    attempt: int | None = None
    step: int = 0
    steps: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None


def label_of(task: TaskSpec) -> str:
    """The name of a task on the board: its shard, or `evaluation`."""
    return task.shard or "evaluation"


def advance(line: Line, update: TaskUpdate) -> Line:
    """The line after one update. Messages from nodes affect only the display."""
    if line.attempt is not None and update.task.attempt > line.attempt:
        line = Line(line.label)
    line = replace(
        line,
        state=STATES.get(update.event, line.state),
        node=update.node_id if update.node_id is not None else line.node,
        attempt=update.task.attempt,
    )
    if update.event in ("moved", "restarted", "lost", "refused"):
        line = replace(line, stage="", step=update.step or 0, tokens_per_second=None)
    if update.report is not None:
        report = update.report
        loss = report.loss if report.loss is not None else line.loss
        steps = report.steps or line.steps
        line = replace(line, step=max(line.step, report.step), steps=steps, loss=loss)
        if update.event in ("progress", "checkpoint"):
            line = replace(line, state=report.state.replace("_", " "))
    if update.message is not None:
        line = _with_message(line, update.message)
    return line


def conclude(line: Line, outcome: TaskOutcome) -> Line:
    """The line of a task that has ended."""
    if not isinstance(outcome, CompletedTask):
        return replace(line, stage="", state=f"{LOST}{one_line(outcome.reason)}")
    receipt = outcome.receipt
    return replace(
        line,
        state="done before" if outcome.adopted else "completed",
        stage="",
        node=outcome.node_id,
        attempt=receipt.attempt,
        step=receipt.steps or line.step,
        steps=receipt.steps or line.steps,
        loss=receipt.losses[-1].loss if receipt.losses else line.loss,
    )


def _with_message(line: Line, message: dict[str, Any]) -> Line:
    """Apply a trainer's progress message; fields missing from the message stay unchanged."""
    payload = payload_of(message)
    if payload.get("kind") == "stage":
        return replace(line, stage=_stage(payload))
    if payload.get("kind") != "progress":
        return line
    numbers = {name: value for name, value in payload.items() if _is_number(value)}
    return replace(
        line,
        state="in progress",
        stage="",
        step=max(line.step, int(numbers.get("step", 0))),
        steps=int(numbers.get("steps", line.steps)),
        loss=numbers.get("loss", line.loss),
        tokens_per_second=numbers.get("tokens_per_second", line.tokens_per_second),
    )


def _stage(payload: dict[str, Any]) -> str:
    """The trainer's name for its stage, made printable and cut to length, and the bytes done so far."""
    stage, size = payload.get("stage"), payload.get("bytes")
    if not isinstance(stage, str) or stage == "training":
        return ""
    mebibytes = size // MEBIBYTE if isinstance(size, int) else 0
    return one_line(stage)[:LONGEST_STAGE] + (f", {mebibytes} MiB" if mebibytes > 0 else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def draw(title: str, lines: dict[str, Line]) -> Table:
    """The board as a table."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name, justify in (
        ("task", "left"),
        ("node", "right"),
        ("attempt", "right"),
        ("state", "left"),
        ("step", "right"),
        ("loss", "right"),
        ("tokens/s", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for label in sorted(lines, key=lambda name: (name == "evaluation", name)):
        table.add_row(*_cells(lines[label]))
    return table


def describe(line: Line) -> str:
    """The line as a sentence, for a log."""
    task, node, attempt, state, step, loss, speed = _cells(replace(line, stage=""))
    where = [node and f"node {node}", f"attempt {attempt}" if attempt not in ("", "1") else ""]
    if state.startswith(LOST):  # a reason may be several sentences, so it comes last
        return f"{', '.join(filter(None, [task, *where]))}: {state}"
    parts = [f"{task}: {state}", *where]
    parts += [step and f"step {step}", loss and f"loss {loss}", speed and f"{speed} tokens/s"]
    return ", ".join(part for part in parts if part)


def _cells(line: Line) -> list[str]:
    return [
        line.label,
        "" if line.node is None else str(line.node),
        "" if line.attempt is None else str(line.attempt),
        line.stage or line.state,
        f"{line.step}/{line.steps}" if line.steps else "",
        "" if line.loss is None else f"{line.loss:.4f}",
        "" if line.tokens_per_second is None else f"{line.tokens_per_second:.0f}",
    ]
