"""A job's summary as tables for a terminal."""

from collections.abc import Iterator

from rich.console import Console

from atlas.documents.metric_names import measures_of_the_model
from atlas.terminal.tables import numbers, print_table, texts
from resources.reports.summary import Metrics, Summary

PLAIN_MEAN = "plain mean"


def print_summary(summary: Summary, denomination: str, console: Console) -> None:
    """Print the metrics of the rounds, the failed checks, the credits of the nodes, and the newest checkpoint."""
    print_rounds(summary, console)
    for text in notes_on_rounds(summary):
        console.print(text)
    for check in summary.failed_checks or []:
        severity = "error" if check.severity == "ERROR" else "warning"
        line = f"round {check.round}, check {check.check} of {check.asset}, {severity}: {check.description}"
        console.print(line, markup=False)
    print_nodes(summary, denomination, console)
    lost = [task for task in summary.tasks if task.state in ("lost", "refused")]
    for task in lost:
        console.print(
            f"round {task.round}, {task.shard or 'evaluation'}, node {task.node}: {task.state}: {task.reason}"
        )
    console.print(f"checkpoint {summary.checkpoint or 'none yet'}")


def print_rounds(summary: Summary, console: Console) -> None:
    """Print a line for the untrained model, one per round, and one per measured result of plain averaging."""
    names = measures_of_the_model({name for one in summary.rounds for name in one.metrics})
    state = "" if summary.state == "open" else f", {summary.state}"
    rows: list[tuple[str, Metrics, str]] = [("base", summary.base, "")]
    for one in summary.rounds:
        rows.append((f"{one.round}{', worse' if one.worse else ''}", one.metrics, one.checkpoint))
        if one.plain_mean is not None:
            rows.append((f"{one.round}, {PLAIN_MEAN}", one.plain_mean, ""))
    cells = [
        [label, *(f"{metrics[name]:.4f}" if name in metrics else "" for name in names), checkpoint]
        for label, metrics, checkpoint in rows
    ]
    columns = [*texts("round"), *numbers(*names), *texts("checkpoint")]
    print_table(console, columns, cells, f"job {summary.job}{state}")


def notes_on_rounds(summary: Summary) -> Iterator[str]:
    """A sentence for each round that ended worse than it started, and for each row of plain averaging."""
    for one in summary.rounds:
        if one.worse:
            yield f"round {one.round} is worse than the checkpoint that it started from: {one.worse}"
        if (mean := one.plain_mean) is not None:
            yield (
                f"round {one.round}, {PLAIN_MEAN}: what averaging without the robust rule would have given, on "
                f"{mean['rows']:.0f} held-out rows; there round {one.round} has loss {mean['reference_loss']:.4f}"
            )


def print_nodes(summary: Summary, denomination: str, console: Console) -> None:
    """Print one line per node that was assigned tasks."""
    cells = [
        [f"{number:,}" for number in (one.node, one.shards, one.reputation, one.credited, one.unclaimed, one.balance)]
        for one in summary.nodes
    ]
    titles = ("node", "shards", "reputation", "credited", "unclaimed", f"balance {denomination}")
    print_table(console, numbers(*titles), cells)
