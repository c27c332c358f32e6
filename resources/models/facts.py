"""Facts about a checkpoint that is exported as a model: its order, its data and its metrics."""

from collections.abc import Mapping

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, DatasetManifest, ModelManifest
from atlas.documents.stored import get_document
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.models.license import base_license
from atlas.spec.job import JobSpec
from atlas.training.export.model_card import ModelFacts
from resources.errors import JobNotFound
from resources.jobs.job_record import job_row
from resources.jobs.registry import JobRegistry, JobRow
from resources.rounds.evidence import receipt_of


def model_facts(cid: Cid, store: ContentStore, home: AtlasHome) -> ModelFacts:
    """The facts of a checkpoint of a job that was opened here.

    Raises `JobNotFound` for a job that was not opened here, and `ContentError` when a document is missing or altered.
    """
    checkpoint = get_document(store, cid, Checkpoint)
    row = job_row(checkpoint.job, home)
    if row is None:
        raise JobNotFound(f"Checkpoint {cid} belongs to the job {checkpoint.job}, which was not opened here.")
    model = get_document(store, row.model_cid, ModelManifest)
    return ModelFacts(
        cid=cid,
        checkpoint=checkpoint,
        spec=get_document(store, row.spec_cid, JobSpec),
        model=model,
        dataset=get_document(store, row.dataset_cid, DatasetManifest),
        dataset_cid=row.dataset_cid,
        license=base_license(model.source, model.revision, home.root / "cache"),
        metrics=_metrics(cid, checkpoint.round, row, store, JobRegistry(home.jobs_database)),
    )


def _metrics(
    cid: Cid, rounds: int, row: JobRow, store: ContentStore, registry: JobRegistry
) -> dict[str, Mapping[str, float]]:
    """The metrics of the untrained model and of the checkpoint, if they were evaluated."""
    shards = len(get_document(store, row.dataset_cid, DatasetManifest).shards)
    found: dict[str, Mapping[str, float]] = {}
    for number in sorted({1, rounds} - {0}):
        for attempt in registry.attempts(row.round(number)):
            if attempt.slot == shards and attempt.receipt_cid:
                metrics = receipt_of(attempt.receipt_cid, store).metrics
                for name, wanted in (("untrained", row.genesis_cid), ("this checkpoint", cid)):
                    if wanted in metrics and (number == rounds or name == "untrained"):
                        found[name] = metrics[wanted]
    return found
