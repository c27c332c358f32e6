"""`atlas plan`: what a job would do, take and cost, before it is run."""

from typing import Annotated, Any

import typer
from rich.console import Console

from assets.launch.order import find_spec, parse_changes, read_order
from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import Column, print_table
from atlas_pipelines.cli.content.open import known_network, open_content
from atlas_pipelines.cli.output import notes_console, results_console
from atlas_pipelines.cli.run.steps import Steps
from resources.planning.make_plan import make_plan
from resources.planning.plan import JobPlan
from resources.planning.tables import plan_tables


def plan(
    spec: Annotated[str, typer.Argument(help="The job's YAML file.")],
    model: Annotated[
        str | None, typer.Option(help="Another base model: minilm, smollm2, hub:ORG/NAME or path:FOLDER.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds.")] = None,
    name: Annotated[str | None, typer.Option(help="Another name for the job.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the spec, such as training.steps=10.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Show what a job would do, take and cost: shards, rows, memory, nodes, time and money. The chain is only read.

    Fails, with the reason, if `atlas run` could not run the job now.
    """
    changes: dict[str, Any] = {**({} if rounds is None else {"rounds": rounds}), **parse_changes(settings or [])}
    order = read_order(str(find_spec(spec).absolute()), model, changes, name)
    home = AtlasHome.from_environment()
    console = notes_console()
    found = make_plan(order, home, known_network(home), open_content(home), Steps(console))
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        print_plan(found, results_console())
    if found.refusal is not None:
        typer.echo(f"Error: {found.refusal}", err=True)
        raise typer.Exit(1)


def print_plan(found: JobPlan, console: Console) -> None:
    """Print the tables of a plan, and its warnings."""
    for number, table in enumerate(plan_tables(found)):
        if number:
            console.print()
        if table.rows:
            columns = [Column(title, kind == "number", kind == "prose") for title, kind in table.columns.items()]
            print_table(console, columns, table.rows, table.title)
        else:
            console.print(table.title)
    for warning in found.warnings:
        console.print(f"Warning: {warning}")
