"""A report as a list of single measurements, for its CSV file, its pictures and comparisons of jobs. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from resources.reports.report import JobReport, TaskReport

Subject = Literal["round", "shard", "node"]


class Measurement(NamedTuple):
    """One number. Round 0 is the untrained model."""

    job: str
    round: int
    of: Subject
    name: str
    """The shard's key or the node's number; empty for a round."""
    measure: str
    value: float


class Totals(NamedTuple):
    """A job in one line, to compare it with others."""

    job: str
    model: str
    dataset: str
    rounds: str
    """Ended rounds of those ordered."""
    loss: float | None
    main_metric: str
    main: float | None
    """The main metric of the newest evaluated round."""
    paid: int
    """Micro-units, credited or to be credited."""
    bytes: int
    """Bytes of all updates that are still in the store."""
    seconds: float
    """Duration of all tasks, added up over the nodes."""


def measurements(report: JobReport) -> list[Measurement]:
    """Every number of a report, by round: first of the round, then of its shards, then of its nodes."""
    found = [Measurement(report.job, 0, "round", "", *pair) for pair in sorted(report.base.items())]
    for number in _rounds(report):
        found += [Measurement(report.job, number, *rest) for rest in _of_round(report, number)]
    return found


def curves(found: Iterable[Measurement], of: Subject, measure: str) -> dict[str, list[tuple[float, float]]]:
    """The values of one measure by round, a curve per name; of a round, a curve per job."""
    lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in found:
        if (one.of, one.measure) == (of, measure):
            lines[one.name or one.job].append((one.round, one.value))
    return dict(lines)


def totals(report: JobReport) -> Totals:
    """A job in one line."""
    newest = next((one.metrics for one in reversed(report.rounds) if one.metrics), {})
    return Totals(
        job=report.job,
        model=report.model,
        dataset=report.dataset,
        rounds=f"{len(report.rounds)} of {report.ordered_rounds}",
        loss=newest.get("loss"),
        main_metric=report.main_metric,
        main=newest.get(report.main_metric),
        paid=sum(one.amount for one in report.payouts),
        bytes=sum(task.bytes or 0 for task in report.tasks),
        seconds=round(sum(task.seconds or 0 for task in report.tasks), 3),
    )


def _rounds(report: JobReport) -> list[int]:
    return sorted({one.round for one in report.rounds} | {task.round for task in report.tasks})


def _of_round(report: JobReport, number: int) -> Iterator[tuple[Subject, str, str, float]]:
    tasks = [task for task in report.tasks if task.round == number]
    payouts = [one for one in report.payouts if one.round == number]
    for ended in report.rounds:
        if ended.round == number:
            yield from (("round", "", name, value) for name, value in sorted(ended.metrics.items()))
    yield "round", "", "completed tasks", sum(task.state == "completed" for task in tasks)
    yield "round", "", "failed tasks", sum(task.state in ("lost", "refused") for task in tasks)
    yield "round", "", "bytes", sum(task.bytes or 0 for task in tasks)
    yield "round", "", "seconds", round(sum(task.seconds or 0 for task in tasks), 3)
    if payouts:
        yield "round", "", "paid", sum(one.amount for one in payouts)
    for task in tasks:
        if task.shard is not None and task.state == "completed":
            yield from (("shard", task.shard, name, value) for name, value in _of_task(task))
    yield from (("node", str(one.node), "paid", one.amount) for one in payouts)


def _of_task(task: TaskReport) -> Iterator[tuple[str, float]]:
    values = {"training loss": task.loss, "tokens": task.tokens, "bytes": task.bytes, "seconds": task.seconds}
    yield from ((name, value) for name, value in values.items() if value is not None)
