"""The commands about a node's settings."""

from pathlib import Path
from typing import Annotated

import typer

from atlas.terminal.console import WordConsole
from atlas.terminal.json_output import print_json
from node_agent.cli.shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    console,
    node_home,
    remember_home,
)
from node_agent.home.config import load_config
from node_agent.home.config_file import commented_yaml, write_first_config
from node_agent.home.reach import only_local

config_app = typer.Typer(invoke_without_command=True)


@config_app.callback()
def show_config(context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show this node's settings with defaults filled in, or write them."""
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
    local: Annotated[
        bool, typer.Option("--local", help="The node runs on the coordinator's machine: accept its local addresses.")
    ] = False,
) -> None:
    """Write settings for a network, each with its meaning above it."""
    folder = node_home(home or context.obj)
    config = write_first_config(folder, network_file)
    notes = WordConsole(stderr=True)
    problems = [] if local else only_local(config)
    for problem in problems:
        notes.print(f"Warning: {problem}")
    if problems:
        notes.print(
            "If this node runs on another machine than the coordinator, set these to addresses that reach the "
            "coordinator before you start it. On the same machine nothing needs to change; --local hides this "
            "warning."
        )
    console.print(f"Wrote {folder.config}. Start the node with: {folder.command('start')}")
