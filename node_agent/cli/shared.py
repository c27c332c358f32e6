"""What the commands of `atlas-node` share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from atlas.terminal.console import WordConsole
from chain_bridge.client.messages import Node
from chain_bridge.errors import InsufficientFunds
from chain_bridge.ledger import Ledger
from node_agent.chain.chain import explain_insufficient_funds, need_key, open_ledger
from node_agent.errors import NodeError
from node_agent.home.config import HOME_VARIABLE, NodeHome, load_config

console = WordConsole()

HOME_KEY = "atlas-node home"


def remember_home(context: typer.Context, home: Path | None) -> Path | None:
    """Store the folder of `--home` where the error log finds it, also after the command has failed."""
    if home is not None:
        context.meta[HOME_KEY] = home
    return home


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar=HOME_VARIABLE,
        help="The node's folder.",
        show_default="~/.atlas-node",
        callback=remember_home,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_HOME = Path("~/.atlas-node")


def node_home(path: Path) -> NodeHome:
    """The node's folder at `path`, made absolute."""
    return NodeHome(path.expanduser().absolute())


@contextmanager
def registered_node(home: Path, reading: bool = False) -> Iterator[tuple[Ledger, Node]]:
    """The contract, opened with the node's key, and the node; raises `NodeError` if none is registered.

    A command that is only `reading` needs no outbox.
    """
    folder = node_home(home)
    config = load_config(folder)
    key = need_key(folder, config)
    with Ledger(config.network, key) if reading else open_ledger(folder, config, key) as ledger:
        node = ledger.node_of(ledger.address)
        if node is None:
            raise NodeError(
                f"No node of {ledger.address} is registered on {config.contract}. Run `{folder.command('register')}`."
            )
        try:
            yield ledger, node
        except InsufficientFunds as error:
            raise explain_insufficient_funds(ledger, error) from error
