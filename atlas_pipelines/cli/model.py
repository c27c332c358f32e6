"""`atlas model`: take a checkpoint out as a model."""

from pathlib import Path
from typing import Annotated

import typer

from atlas.content.cid import parse_cid
from atlas.content.store import get_document
from atlas.home import AtlasHome
from atlas.manifests import Checkpoint, ModelManifest
from atlas.spec import JobSpec
from atlas_pipelines.cli.content import open_content
from atlas_pipelines.cli.output import print_json, results_console
from resources.errors import JobNotFound
from resources.jobs import JobRegistry


def export(
    checkpoint: Annotated[str, typer.Argument(help="CID of a checkpoint.")],
    merged: Annotated[Path, typer.Option(help="The new folder: base weights with the adapter merged into them.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a checkpoint as a plain transformers model, which needs neither peft nor Atlas."""
    from atlas.training.export import export_merged  # torch: seconds that no other command should pay

    home = AtlasHome.from_environment()
    store = open_content(home)
    found = get_document(store, parse_cid(checkpoint), Checkpoint)
    row = next((row for row in JobRegistry(home.jobs_database).jobs() if row.spec_cid == found.job), None)
    if row is None:
        raise JobNotFound(f"Checkpoint {checkpoint} belongs to the order {found.job}, which was not opened here.")
    spec, manifest = get_document(store, found.job, JobSpec), get_document(store, row.model_cid, ModelManifest)
    factors = [store.fetch(cid) for cid in found.merged]
    export_merged(spec, manifest, store.fetch(found.adapter), factors, home.root / "cache", merged.absolute())
    if json:
        print_json({"checkpoint": checkpoint, "folder": str(merged.absolute())})
    else:
        results_console().print(f"Wrote {merged}.")
