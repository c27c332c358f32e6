"""A plan as tables of texts, for terminals and pages. Pure."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from atlas.training.preview.documents import Memory, RowPreview
from atlas.unexpected import one_line
from resources.planning.plan import JobPlan, PlannedNode, PlannedRows

UNKNOWN = "unknown"
LONGEST_TEXT = 400
"""Characters of a row that a table shows."""


Kind = Literal["text", "number", "prose"]
"""What the cells of a column are: one line, digits to be aligned at the right, or sentences."""


class PlanTable(NamedTuple):
    """A table with its title and, by their titles, the kinds of its columns; every cell is text."""

    title: str
    columns: dict[str, Kind]
    rows: list[list[str]]


PIECE_COLUMNS: dict[str, Kind] = {
    "piece": "text",
    "rows": "number",
    "bytes": "number",
    "words": "number",
    "tokens": "number",
    "labels": "prose",
}
NODE_COLUMNS: dict[str, Kind] = {
    "node": "number",
    "fits": "text",
    "slots": "number",
    "tokens/s": "number",
    "reason or hardware": "prose",
}


def plan_tables(plan: JobPlan) -> list[PlanTable]:
    """Every table of a plan."""
    pieces = [*plan.data.shards, plan.data.holdout, *([plan.data.reference] if plan.data.reference else [])]
    return [
        PlanTable(
            f"data {plan.data.source}",
            PIECE_COLUMNS,
            [_piece(piece) for piece in pieces],
        ),
        PlanTable(
            "first rows as the model sees them",
            {"label": "text", "tokens": "number", "of": "number", "text": "prose"},
            [_row(row) for row in plan.preview],
        ),
        PlanTable(
            "memory of a task",
            {"task": "text", "device": "text", "tensors": "number", "libraries": "number", "together": "number"},
            [_memory(one) for one in plan.memory],
        ),
        _nodes(plan.nodes),
        PlanTable("job", {"item": "text", "value": "prose"}, [list(pair) for pair in _facts(plan)]),
    ]


def _piece(piece: PlannedRows) -> list[str]:
    labels = ", ".join(f"{label} {rows:,}" for label, rows in sorted(piece.labels.items()))
    return [piece.key, f"{piece.rows:,}", f"{piece.bytes:,}", _count(piece.words), _count(piece.tokens), labels]


def _row(row: RowPreview) -> list[str]:
    return [row.label or "", str(row.tokens), str(row.whole), one_line(row.text, LONGEST_TEXT)]


def _memory(one: Memory) -> list[str]:
    return [one.task, one.device, _mib(one.tensors), _mib(one.libraries), _mib(one.total)]


def _nodes(nodes: Sequence[PlannedNode] | None) -> PlanTable:
    if nodes is None:
        return PlanTable("nodes: unknown, because no network runs", NODE_COLUMNS, [])
    rows = [
        [
            str(node.node),
            "no" if node.obstacle else "yes",
            str(node.capacity),
            UNKNOWN if node.tokens_per_second is None else f"{node.tokens_per_second:,.1f}",
            node.obstacle or node.hardware or UNKNOWN,
        ]
        for node in nodes
    ]
    return PlanTable("nodes", NODE_COLUMNS, rows)


def _facts(plan: JobPlan) -> Iterator[tuple[str, str]]:
    model, steps, cost, shards = plan.model, plan.steps, plan.cost, plan.data.shard_count
    unit = cost.denomination or "micro-units"
    share = 100 * model.trainable / model.parameters
    yield "model", f"{model.source}, {model.task}, {model.precision}"
    yield "parameters", f"{model.parameters:,}"
    yield "trainable", f"{model.trainable:,} ({share:.2f} %)"
    yield "shards", f"{shards:,}" if plan.data.shards else f"{shards:,} or more"
    yield "steps per task", f"{steps.per_task:,} of {steps.rows_per_step:,} rows"
    yield "rounds", f"{steps.rounds:,}"
    yield "steps of the job", f"{steps.total:,}"
    yield "training per round", _duration(steps.seconds_per_round)
    yield "training of the job", _duration(_times(steps.seconds_per_round, steps.rounds))
    yield "reward per task", f"{cost.reward_per_task:,} {unit}"
    yield "cost per round", f"{cost.per_round:,} {unit}"
    yield "cost of the job", f"{cost.total:,} {unit}"
    yield "escrow", f"{cost.escrow:,} {unit}, of which {cost.escrow - cost.total:,} return"
    yield "operator's balance", UNKNOWN if cost.balance is None else f"{cost.balance:,} {unit}"


def _times(seconds: float | None, rounds: int) -> float | None:
    return None if seconds is None else seconds * rounds


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _mib(size: int | None) -> str:
    return UNKNOWN if size is None else f"{size / 2**20:,.0f} MiB"
