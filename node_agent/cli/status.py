"""The command that shows a node's status and its tasks."""

import time
from typing import Annotated

import typer

from atlas.terminal.json_output import print_json
from atlas.terminal.tables import Column, numbers, print_table, texts
from node_agent.chain.standing import describe_stake, describe_standing, jail_advice
from node_agent.cli.node_status import NodeStatus, node_status
from node_agent.cli.shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    console,
    node_home,
)
from node_agent.home.config import NodeHome, load_config


def status(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="How many tasks to list.")] = 20,
) -> None:
    """Show the node's status on chain and its tasks. Works while the node runs, too."""
    folder = node_home(home)
    found = node_status(folder, load_config(folder), limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show_status(found, folder)


def _show_status(found: NodeStatus, home: NodeHome) -> None:
    console.print(f"Agent: {'running' if found.running else 'not running'}   Address: {found.address or 'none yet'}")
    if found.chain_error is not None:
        console.print(f"Chain: {found.chain_error}")
    elif found.node is None:
        console.print(f"Chain: not registered yet; `{home.command('start')}` registers.")
    else:
        node, now = found.node, time.time()
        console.print(f"Chain: {describe_standing(node, now)}")
        console.print(
            f"Money: {describe_stake(node, found.denom, now)}; balance {found.balance} {found.denom}, "
            f"credit {found.credit} {found.denom}",
        )
        if node.status == "jailed":
            console.print(jail_advice(node, home))
    cells = []
    for task in found.tasks:
        loss = "" if task.loss is None else f"{task.loss:.4f}"
        step = f"{task.step}/{task.steps or '?'}"
        cells.append([task.task_id, str(task.attempt), task.state, step, loss, task.error or ""])
    if cells:
        columns = [*texts("task"), *numbers("attempt"), *texts("state"), *numbers("step", "loss")]
        print_table(console, [*columns, Column("error", prose=True)], cells)
