"""A job's summary as tables for a terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from atlas_pipelines.summary import Metrics, Summary

PLAIN_MEAN = "plain mean"


def print_summary(summary: Summary, denomination: str, console: Console) -> None:
    """Print what the rounds brought, what the nodes got, and the newest checkpoint."""
    console.print(rounds_table(summary))
    for text in notes_on_rounds(summary):
        console.print(text, soft_wrap=True)
    console.print(nodes_table(summary, denomination))
    lost = [task for task in summary.tasks if task.state in ("lost", "refused")]
    for task in lost:
        console.print(
            f"round {task.round}, {task.shard or 'evaluation'}, node {task.node}: {task.state}: {task.reason}"
        )
    console.print(f"checkpoint {summary.checkpoint or 'none yet'}", soft_wrap=True)


def rounds_table(summary: Summary) -> Table:
    """One line for the untrained model, one per round, and one for what plain averaging would have given."""
    names = sorted({name for one in summary.rounds for name in one.metrics} - {"rows"})
    state = "" if summary.state == "open" else f", {summary.state}"
    table = Table(title=f"job {summary.job}{state}", title_justify="left", box=None, pad_edge=False)
    table.add_column("round")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("checkpoint")
    rows: list[tuple[str, Metrics, str]] = [("base", summary.base, "")]
    for one in summary.rounds:
        rows.append((f"{one.round}{', worse' if one.worse else ''}", one.metrics, one.checkpoint))
        if one.plain_mean is not None:
            rows.append((f"{one.round}, {PLAIN_MEAN}", one.plain_mean, ""))
    for label, metrics, checkpoint in rows:
        cells = [f"{metrics[name]:.4f}" if name in metrics else "" for name in names]
        table.add_row(label, *cells, checkpoint[:20] + "…" if checkpoint else "")
    return table


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


def nodes_table(summary: Summary, denomination: str) -> Table:
    """One line per node that was given work."""
    table = Table(box=None, pad_edge=False)
    for name in ("node", "shards", "reputation", "credited", "unclaimed", f"balance {denomination}"):
        table.add_column(name, justify="right")
    for node in summary.nodes:
        numbers = (node.node, node.shards, node.reputation, node.credited, node.unclaimed, node.balance)
        table.add_row(*(f"{number:,}" for number in numbers))
    return table
