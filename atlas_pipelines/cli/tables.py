"""A job's summary as tables for a terminal."""

from rich.console import Console

from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.summary import Summary


def print_summary(summary: Summary, denomination: str, console: Console) -> None:
    """Print what the rounds brought, what the nodes got, and the newest checkpoint."""
    print_rounds(summary, console)
    print_nodes(summary, denomination, console)
    lost = [task for task in summary.tasks if task.state in ("lost", "refused")]
    for task in lost:
        console.print(
            f"round {task.round}, {task.shard or 'evaluation'}, node {task.node}: {task.state}: {task.reason}"
        )
    console.print(f"checkpoint {summary.checkpoint or 'none yet'}")


def print_rounds(summary: Summary, console: Console) -> None:
    """One line for the untrained model and one per round."""
    names = sorted({name for one in summary.rounds for name in one.metrics} - {"rows"})
    state = "" if summary.state == "open" else f", {summary.state}"
    rows = [("base", summary.base, ""), *((str(one.round), one.metrics, one.checkpoint) for one in summary.rounds)]
    cells = [
        [label, *(f"{metrics[name]:.4f}" if name in metrics else "" for name in names), checkpoint]
        for label, metrics, checkpoint in rows
    ]
    columns = [*texts("round"), *numbers(*names), *texts("checkpoint")]
    print_table(console, columns, cells, f"job {summary.job}{state}")


def print_nodes(summary: Summary, denomination: str, console: Console) -> None:
    """One line per node that was given work."""
    cells = [
        [f"{number:,}" for number in (one.node, one.shards, one.reputation, one.credited, one.unclaimed, one.balance)]
        for one in summary.nodes
    ]
    titles = ("node", "shards", "reputation", "credited", "unclaimed", f"balance {denomination}")
    print_table(console, numbers(*titles), cells)
