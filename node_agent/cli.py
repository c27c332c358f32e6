"""The command `atlas-node`: run a node on this machine and see how it fares."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from stamina.instrumentation import set_on_retry_hooks

from atlas.errors import AtlasError
from chain_bridge.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.messages import Node
from node_agent.config import HOME_VARIABLE, NodeHome, load_config
from node_agent.config_file import commented_yaml, write_first_config
from node_agent.heartbeat import log_retry
from node_agent.machine import probe_machine
from node_agent.registration import ensure_registered, open_store
from node_agent.startup import run_node
from node_agent.status import NodeStatus, node_status

app = typer.Typer(name="atlas-node", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
config_app = typer.Typer(help="Show this node's settings, or write them.", invoke_without_command=True)
app.add_typer(config_app, name="config")
console = Console()

HomeOption = Annotated[
    Path, typer.Option("--home", envvar=HOME_VARIABLE, help="The node's folder.", show_default="~/.atlas-node")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
DEFAULT_HOME = Path("~/.atlas-node")


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
            _print_json({"node_id": node.id, "address": node.owner})
        else:
            console.print(f"Node {node.id} ({node.owner}) is ready for tasks. Stop it with Ctrl-C.")

    with _errors_for_people():
        asyncio.run(run_node(_home(home), on_ready))


@app.command()
def register(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Register this node on chain, or update its registration, without running it."""
    with _errors_for_people():
        node_home = _home(home)
        config = load_config(node_home)
        key = load_or_create_key(node_home.key, config.network.prefix)
        with Ledger(config.network, key) as ledger:
            node = ensure_registered(ledger, open_store(node_home, config), probe_machine(config))
    if as_json:
        _print_json(node.model_dump(mode="json"))
    else:
        console.print(f"Node {node.id} ({node.owner}) is registered with capacity {node.capacity}.")


@app.command()
def status(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="How many tasks to list.")] = 20,
) -> None:
    """Show the node's standing on chain and its tasks. Works while the node runs, too."""
    with _errors_for_people():
        node_home = _home(home)
        found = node_status(node_home, load_config(node_home), limit)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        _show_status(found)


@config_app.callback()
def show_config(context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the settings in effect, with defaults filled in."""
    context.obj = home
    if context.invoked_subcommand is None:
        with _errors_for_people():
            config = load_config(_home(home))
        if as_json:
            _print_json(config.model_dump(mode="json"))
        else:
            typer.echo(commented_yaml(config), nl=False)


@config_app.command("init")
def init_config(
    context: typer.Context,
    network_file: Annotated[Path, typer.Option("--from", help="A coordinator's network.json, or a YAML file like it.")],
    home: Annotated[Path | None, typer.Option("--home", help="The node's folder.", show_default=False)] = None,
) -> None:
    """Write settings for a network, each with its meaning above it."""
    node_home = _home(home or context.obj)
    with _errors_for_people():
        write_first_config(node_home, network_file)
    console.print(f"Wrote {node_home.config}. Start the node with: atlas-node start --home {node_home.root}")


def _home(path: Path) -> NodeHome:
    return NodeHome(path.expanduser().absolute())


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value))


def _show_status(found: NodeStatus) -> None:
    console.print(f"Agent: {'running' if found.running else 'not running'}   Address: {found.address}", soft_wrap=True)
    if found.chain_error is not None:
        console.print(f"Chain: {found.chain_error}", markup=False)
    elif found.node is None:
        console.print("Chain: not registered yet; `atlas-node start` registers.")
    else:
        node = found.node
        console.print(
            f"Chain: node {node.id}, {node.status}, reputation {node.reputation}, {node.used} of {node.capacity} "
            f"tasks; balance {found.balance} {found.denom}, credit {found.credit} {found.denom}",
            soft_wrap=True,
        )
    table = Table("task", "attempt", "state", "step", "loss", "error")
    for task in found.tasks:
        loss = "" if task.loss is None else f"{task.loss:.4f}"
        step = f"{task.step}/{task.steps or '?'}"
        table.add_row(task.task_id, str(task.attempt), task.state, step, loss, (task.error or "")[:80])
    console.print(table)


@contextmanager
def _errors_for_people() -> Iterator[None]:
    """An error that was foreseen is a sentence and exit code 1, not a traceback."""
    try:
        yield
    except AtlasError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
