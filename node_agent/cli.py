"""The command `atlas-node`: run a node on this machine and see how it fares."""

import asyncio
import logging
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from stamina.instrumentation import set_on_retry_hooks

from atlas.terminal.commands import Verbose
from chain_bridge.messages import Node
from node_agent.chain import node_key, open_ledger
from node_agent.cli_data import data_app
from node_agent.cli_money import add_commands
from node_agent.cli_shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    NodeCommands,
    console,
    node_home,
    print_json,
    remember_home,
)
from node_agent.config import load_config
from node_agent.config_file import commented_yaml, write_first_config
from node_agent.heartbeat import log_retry
from node_agent.local_data import commit_to_data
from node_agent.machine import probe_machine
from node_agent.registration import ensure_registered, open_store
from node_agent.standing import describe_stake, describe_standing, jail_advice
from node_agent.startup import run_node
from node_agent.status import NodeStatus, node_status

app = typer.Typer(
    name="atlas-node", cls=NodeCommands, help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False
)
config_app = typer.Typer(help="Show this node's settings, or write them.", invoke_without_command=True)
app.add_typer(config_app, name="config")
app.add_typer(data_app, name="data")


@app.callback()
def atlas_node(verbose: Verbose = False) -> None:
    """Run a node on this machine and see how it fares."""


@app.command()
def start(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Run the node until it is told to stop (Ctrl-C or SIGTERM)."""
    logging.basicConfig(
        level=os.environ.get("ATLAS_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    set_on_retry_hooks([log_retry])

    def on_ready(node: Node) -> None:
        if as_json:
            print_json({"node_id": node.id, "address": node.owner})
        else:
            console.print(f"Node {node.id} ({node.owner}) is ready for tasks. Stop it with Ctrl-C.")

    asyncio.run(run_node(node_home(home), on_ready))


@app.command()
def register(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Register this node on chain, or update its registration, without running it."""
    folder = node_home(home)
    config = load_config(folder)
    key = node_key(folder, config)
    data = commit_to_data(folder, config, key.address)
    with open_ledger(folder, config, key) as ledger:
        node = ensure_registered(ledger, key, open_store(folder, config), probe_machine(config), data)
    if as_json:
        print_json(node.model_dump(mode="json"))
    else:
        console.print(f"Node {node.id} ({node.owner}) is registered with capacity {node.capacity}.")


@app.command()
def status(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="How many tasks to list.")] = 20,
) -> None:
    """Show the node's standing on chain and its tasks. Works while the node runs, too."""
    folder = node_home(home)
    found = node_status(folder, load_config(folder), limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show_status(found)


@config_app.callback()
def show_config(context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the settings in effect, with defaults filled in."""
    context.obj = home
    if context.invoked_subcommand is None:
        config = load_config(node_home(home))
        if as_json:
            print_json(config.model_dump(mode="json"))
        else:
            typer.echo(commented_yaml(config), nl=False)


@config_app.command("init")
def init_config(
    context: typer.Context,
    network_file: Annotated[Path, typer.Option("--from", help="A coordinator's network.json, or a YAML file like it.")],
    home: Annotated[
        Path | None, typer.Option("--home", help="The node's folder.", show_default=False, callback=remember_home)
    ] = None,
) -> None:
    """Write settings for a network, each with its meaning above it."""
    folder = node_home(home or context.obj)
    write_first_config(folder, network_file)
    console.print(f"Wrote {folder.config}. Start the node with: atlas-node start --home {folder.root}")


add_commands(app)


def _show_status(found: NodeStatus) -> None:
    console.print(f"Agent: {'running' if found.running else 'not running'}   Address: {found.address}", soft_wrap=True)
    if found.chain_error is not None:
        console.print(f"Chain: {found.chain_error}", markup=False)
    elif found.node is None:
        console.print("Chain: not registered yet; `atlas-node start` registers.")
    else:
        node, now = found.node, time.time()
        console.print(f"Chain: {describe_standing(node, now)}", soft_wrap=True)
        console.print(
            f"Money: {describe_stake(node, found.denom, now)}; balance {found.balance} {found.denom}, "
            f"credit {found.credit} {found.denom}",
            soft_wrap=True,
        )
        if node.status == "jailed":
            console.print(jail_advice(node), soft_wrap=True)
    table = Table("task", "attempt", "state", "step", "loss", "error")
    for task in found.tasks:
        loss = "" if task.loss is None else f"{task.loss:.4f}"
        step = f"{task.step}/{task.steps or '?'}"
        table.add_row(task.task_id, str(task.attempt), task.state, step, loss, (task.error or "")[:80])
    console.print(table)
