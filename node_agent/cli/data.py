"""The commands about the node's own data. They only read, and also work while the agent runs."""

from typing import Annotated

import typer

from atlas.counts import counted
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_table, texts
from node_agent.chain.chain import node_key
from node_agent.cli.shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    console,
    node_home,
)
from node_agent.data.local_data import commit_to
from node_agent.home.config import load_config


def list_data(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the datasets in this node's settings."""
    config = load_config(node_home(home))
    datasets = dict(sorted(config.datasets.items()))
    if as_json:
        print_json({"datasets": {name: source.model_dump(mode="json") for name, source in datasets.items()}})
        return
    cells = []
    for name, source in datasets.items():
        columns = ", ".join(filter(None, (source.text_column, source.label_column)))
        where = ", ".join(f"{column} = {value}" for column, value in source.where.items())
        part = f"{source.keep.first}-{source.keep.last} of {source.keep.of}" if source.keep else ""
        jobs = "all" if source.jobs is None else ", ".join(source.jobs) or "none"
        cells.append([name, source.source, columns, where, part, jobs])
    print_table(console, texts("name", "source", "columns", "only rows where", "part", "jobs"), cells)


def check(
    name: Annotated[str, typer.Argument(help="The dataset's name in the settings.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Read a dataset as a task would, and show what the agent publishes about it after a restart.

    The output depends on the node's key and salt; both are created if they do not exist.
    """
    folder = node_home(home)
    config = load_config(folder)
    found = commit_to(name, folder, config, node_key(folder, config).address)
    if as_json:
        print_json({"cid": found.cid, **found.model_dump(mode="json")})
        return
    columns = ", ".join(f"{column} ({kind})" for column, kind in sorted(found.columns.items()))
    console.print(f"{found.name}: {counted(found.rows, 'row')}, columns {columns}")
    console.print(f"commitment {found.root}, document {found.cid}")
