"""A job's summary as tables for a terminal."""

from rich.console import Console
from rich.table import Table

from atlas_pipelines.summary import Summary


def print_summary(summary: Summary, denomination: str, console: Console) -> None:
    """Print what the rounds brought, what the nodes got, and the newest checkpoint."""
    console.print(rounds_table(summary))
    console.print(nodes_table(summary, denomination))
    lost = [task for task in summary.tasks if task.state in ("lost", "refused")]
    for task in lost:
        console.print(
            f"round {task.round}, {task.shard or 'evaluation'}, node {task.node}: {task.state}: {task.reason}"
        )
    console.print(f"checkpoint {summary.checkpoint or 'none yet'}", soft_wrap=True)


def rounds_table(summary: Summary) -> Table:
    """One line for the untrained model and one per round."""
    names = sorted({name for one in summary.rounds for name in one.metrics} - {"rows"})
    state = "" if summary.state == "open" else f", {summary.state}"
    table = Table(title=f"job {summary.job}{state}", title_justify="left", box=None, pad_edge=False)
    table.add_column("round")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("checkpoint")
    rows = [("base", summary.base, ""), *((str(one.round), one.metrics, one.checkpoint) for one in summary.rounds)]
    for label, metrics, checkpoint in rows:
        cells = [f"{metrics[name]:.4f}" if name in metrics else "" for name in names]
        table.add_row(label, *cells, checkpoint[:20] + "…" if checkpoint else "")
    return table


def nodes_table(summary: Summary, denomination: str) -> Table:
    """One line per node that was given work."""
    table = Table(box=None, pad_edge=False)
    for name in ("node", "shards", "reputation", "credited", "unclaimed", f"balance {denomination}"):
        table.add_column(name, justify="right")
    for node in summary.nodes:
        numbers = (node.node, node.shards, node.reputation, node.credited, node.unclaimed, node.balance)
        table.add_row(*(f"{number:,}" for number in numbers))
    return table
