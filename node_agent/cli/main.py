"""The command `atlas-node`: run a node on this machine, and see its tasks and its money."""

from pathlib import Path
from typing import Annotated, Any

import typer

from atlas.terminal.commands import CommandGroup, Verbose
from atlas.terminal.deferred import Command, Entries, Group, commands_of
from atlas.terminal.signals import stop_on_signals
from atlas.terminal.version import print_version

# These texts repeat the docstrings, so that listing the commands imports none of them; a test compares both.
COMMANDS: Entries = {
    "start": Command("node_agent.cli.start:start", "Run the node until Ctrl-C or SIGTERM."),
    "register": Command(
        "node_agent.cli.start:register",
        "Register this node on chain, or update its registration, without running it.",
    ),
    "status": Command(
        "node_agent.cli.status:status",
        "Show the node's status on chain and its tasks. Works while the node runs, too.",
    ),
    "unjail": Command("node_agent.cli.money:unjail", "Free the node after its time in jail, with a new stake."),
    "deregister": Command(
        "node_agent.cli.money:deregister",
        "Retire the node. All its stake unbonds; `atlas-node start` or `register` activates it again.",
    ),
    "rewards": Command(
        "node_agent.cli.money:rewards", "Show the credit that the node can withdraw, and the pay of its newest rounds."
    ),
    "withdraw": Command("node_agent.cli.money:withdraw", "Move the node's credit to its account."),
    "claim": Command(
        "node_agent.cli.money:claim",
        "Claim the pay for finished tasks of a round that the job's owner never submitted.",
    ),
    "config": Command(
        "node_agent.cli.config:config_app", "Show this node's settings with defaults filled in, or write them."
    ),
    "data": Group(
        "The node's own data, which jobs may train on and which never leaves the node.",
        {
            "ls": Command("node_agent.cli.data:list_data", "List the datasets in this node's settings."),
            "check": Command(
                "node_agent.cli.data:check",
                "Read a dataset as a task would, and show what the agent publishes about it after a restart.",
            ),
        },
    ),
    "stake": Group(
        "The node's stake, in micro-units of the network's coin.",
        {
            "add": Command("node_agent.cli.money:add_stake", "Add to the node's stake from its account."),
            "withdraw": Command(
                "node_agent.cli.money:withdraw_stake",
                "Begin to take stake out. It stays bound for the contract's unbonding time; the minimum stays bound.",
            ),
            "claim": Command(
                "node_agent.cli.money:claim_stake",
                "Turn stake whose unbonding time is over into credit, which `atlas-node withdraw` pays out.",
            ),
        },
    ),
}


class AtlasNode(CommandGroup):
    """The group that has every command of `atlas-node`."""

    _context: Any = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": commands_of(COMMANDS)})

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """The context of the whole command line, whose `meta` its commands share."""
        self._context = super().make_context(*arguments, **named)
        return self._context

    def log(self) -> Path:
        """The log file in the node's folder."""
        # Imported here, because listing the commands does not need the models of the settings.
        from node_agent.cli.shared import HOME_KEY, node_home
        from node_agent.home.config import NodeHome

        home = self._context.meta.get(HOME_KEY) if self._context else None
        return (node_home(home) if home else NodeHome.from_environment()).log


app = typer.Typer(name="atlas-node", cls=AtlasNode, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def atlas_node(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Run a node on this machine, and see its tasks and its money."""
    stop_on_signals()
