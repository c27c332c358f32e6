"""`atlas job show`: a job's progress, nodes and results."""

from typing import Annotated

import typer

from atlas.content.places.open import open_kept_store
from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.job.dataset_facts import dataset_facts, dataset_lines
from atlas_pipelines.cli.network import using_network
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.cli.run.tables import print_summary
from chain_bridge.ledger import Ledger
from resources.errors import JobNotFound
from resources.jobs.opened import load_job
from resources.jobs.registry import JobRegistry
from resources.reports.summary import summarize


def show(
    name: Annotated[str, typer.Argument(help="The job's name.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a job's rounds, tasks, nodes and newest checkpoint."""
    home = AtlasHome.from_environment()
    registry = JobRegistry(home.jobs_database)
    if registry.job(name) is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    with using_network(home) as addresses:
        store = open_kept_store(addresses.content, home.content)
        ledger = Ledger(addresses.network)
        job = load_job(name, store, registry, ledger.contract)
        summary = summarize(job, registry, store, ledger)
    if json:
        print_json({**summary.model_dump(mode="json"), "dataset": dataset_facts(job.dataset)})
    else:
        console = results_console()
        for line in dataset_lines(job.dataset):
            console.print(line)
        print_summary(summary, addresses.network.denom, console)
