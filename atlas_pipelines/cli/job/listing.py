"""`atlas job ls`: the jobs that this coordinator has opened."""

from typing import Annotated

import typer

from atlas.content.store import ContentStore
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec, TaskSpec
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import print_table, texts
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.output import results_console
from resources.jobs.registry import JobRegistry, JobRow, RoundRef

COLUMNS = ("name", "model", "source", "shards", "rounds", "done", "checkpoint")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ls(json: Json = False) -> None:
    """List the jobs by name."""
    home = AtlasHome.from_environment()
    registry, store = JobRegistry(home.jobs_database), open_content(home)
    rows = [_facts(row, registry, store) for row in registry.jobs()]
    if json:
        print_json(rows)
        return
    if rows:
        cells = [[str(row[column] or "") for column in COLUMNS] for row in rows]
        print_table(results_console(), texts(*COLUMNS), cells)
    else:
        results_console().print("No job was opened here yet. Start with: atlas run examples/sentiment.yaml")


def _facts(row: JobRow, registry: JobRegistry, store: ContentStore) -> dict[str, str | int | None]:
    """A job's facts from the registry and the store; no network is needed. A round is done once it is evaluated."""
    spec = get_document(store, row.spec_cid, JobSpec)
    dataset = get_document(store, row.dataset_cid, DatasetManifest)
    rounds = [RoundRef(row.contract, row.job_id, number) for number in range(1, spec.rounds + 1)]
    evaluations = [
        get_document(store, one.task_cid, TaskSpec)
        for ref in rounds
        for one in registry.attempts(ref)
        if one.slot == len(dataset.shards) and one.state == "completed"
    ]
    return {
        "name": row.name,
        "job_id": row.job_id,
        "contract": row.contract,
        "spec": row.spec_cid,
        "model": spec.model.source,
        "source": spec.dataset.source,
        "shards": len(dataset.shards),
        "rounds": spec.rounds,
        "done": len(evaluations),
        "checkpoint": evaluations[-1].checkpoints[1] if evaluations else None,
    }
