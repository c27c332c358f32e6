"""What the commands of `atlas-node` share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from atlas.errors import AtlasError
from atlas.terminal.console import WordConsole
from chain_bridge.errors import InsufficientFunds
from chain_bridge.ledger import Ledger
from chain_bridge.messages import Node
from node_agent.chain import explain_poverty, node_key, open_ledger
from node_agent.config import HOME_VARIABLE, NodeHome, load_config
from node_agent.errors import NodeError

console = WordConsole()

HomeOption = Annotated[
    Path, typer.Option("--home", envvar=HOME_VARIABLE, help="The node's folder.", show_default="~/.atlas-node")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
DEFAULT_HOME = Path("~/.atlas-node")


def node_home(path: Path) -> NodeHome:
    """The folder that was given, made absolute."""
    return NodeHome(path.expanduser().absolute())


def print_json(value: dict[str, Any]) -> None:
    """One line on stdout."""
    typer.echo(json.dumps(value))


@contextmanager
def errors_for_people() -> Iterator[None]:
    """An error that was foreseen is a sentence and exit code 1, not a traceback."""
    try:
        yield
    except AtlasError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error


@contextmanager
def registered_node(home: Path) -> Iterator[tuple[Ledger, Node]]:
    """The contract by the node's key, and the node; what goes wrong is told as by `errors_for_people`."""
    with errors_for_people():
        folder = node_home(home)
        config = load_config(folder)
        with open_ledger(folder, config, node_key(folder, config)) as ledger:
            node = ledger.node_of(ledger.address)
            if node is None:
                raise NodeError(
                    f"No node of {ledger.address} is registered on {config.contract}. Run `atlas-node register`."
                )
            try:
                yield ledger, node
            except InsufficientFunds as error:
                raise explain_poverty(ledger, error) from error
