"""`atlas report`: all measurements of a job, or of several jobs to compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from atlas.content.places.open import open_kept_store
from atlas.disk.files import write_file
from atlas.home import AtlasHome
from atlas_pipelines.cli.network import using_network
from atlas_pipelines.cli.report.formats import report_csv, report_json
from atlas_pipelines.cli.report.page import report_page
from chain_bridge.ledger import Ledger
from resources.errors import JobNotFound
from resources.jobs.opened import load_job
from resources.jobs.registry import JobRegistry
from resources.reports.report import JobReport, collect_report

WRITERS = {"html": report_page, "json": report_json, "csv": report_csv}


def report(
    names: Annotated[list[str], typer.Argument(help="The names of one or more jobs.", metavar="NAME...")],
    form: Annotated[
        Literal["html", "json", "csv"],
        typer.Option("--format", help="html: one page with pictures; json: job reports; csv: a measurement per line."),
    ] = "html",
    output: Annotated[
        Path | None, typer.Option(help="The file to write; it is replaced if it exists.", show_default="stdout")
    ] = None,
) -> None:
    """Write all measurements of a job, or of several jobs to compare, as one page, as JSON or as CSV.

    The page has its pictures inside, and neither a script nor a link to anything outside.
    """
    text = WRITERS[form](_collect(list(dict.fromkeys(names))))
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_file(output, text.encode())


def _collect(names: list[str]) -> list[JobReport]:
    home = AtlasHome.from_environment()
    registry = JobRegistry(home.jobs_database)
    for name in names:
        if registry.job(name) is None:
            raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    with using_network(home) as addresses:
        store = open_kept_store(addresses.content, home.content)
        ledger = Ledger(addresses.network)
        jobs = [load_job(name, store, registry, ledger.contract) for name in names]
        return [collect_report(job, registry, store, ledger) for job in jobs]
