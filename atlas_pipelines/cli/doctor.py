"""`atlas doctor`: whether everything that Atlas needs on this machine is in order."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from atlas.home import AtlasHome
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.output import results_console
from atlas_pipelines.doctor.coherence import check_chain_file
from atlas_pipelines.doctor.finding import Finding
from atlas_pipelines.doctor.machine import check_folders, check_models, check_packages, hindrance
from atlas_pipelines.doctor.services import check_services, check_web_port
from atlas_pipelines.doctor.state_files import check_databases, check_settings, databases

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    listen: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to wait for the nodes' heartbeats, to compare clocks; local nodes send one every 10 s.",
        ),
    ] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check files, disk, packages, models, clocks, ports and the network, without changing any of them.

    Prints one line per check, with what to do. Exits with 1 when a check failed.
    """
    home = AtlasHome.from_environment()
    dagster = Path(os.environ.get("DAGSTER_HOME") or home.dagster).expanduser().absolute()
    findings = []
    for finding in examine(home, dagster, listen):
        findings.append(finding)
        if not json:
            state = Text(f"{finding.state:8}", style=_STYLES[finding.state])
            line = Text.assemble(state, f"{finding.check:11} ", finding.text)
            results_console().print(line)
    healthy = all(finding.state != "failed" for finding in findings)
    if json:
        print_json({"healthy": healthy, "checks": [asdict(finding) for finding in findings]})
    if not healthy:
        raise typer.Exit(1)


def examine(home: AtlasHome, dagster: Path, listen: float = 0.0) -> Iterator[Finding]:
    """Every check, the quick ones first; `dagster` is Dagster's folder, `listen` as for `check_services`."""
    yield from check_folders(home, dagster)
    if not hindrance(home.root):  # otherwise the folder has no files and cannot get any
        yield from check_settings(home)
        yield from check_databases(databases(home, dagster))
        yield from check_chain_file(home)
        yield from check_services(home, listen)
    yield check_web_port(home)
    yield from check_packages()
    yield from check_models()
