"""One round's aggregation, from registry and store: accepted and refused updates, and the diagnostics of the result."""

from pydantic import BaseModel, Field

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, DatasetManifest, RoundManifest
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import get_document
from atlas.ids import Cid, NodeId
from atlas.rounds.diagnose import diagnose_round
from atlas.spec.job import JobSpec, TaskSpec
from resources.errors import JobNotFound, RoundOrderError
from resources.jobs.registry import Attempt, JobRegistry, JobRow


class AcceptedLine(BaseModel):
    """An accepted update, and its influence on the round."""

    shard: str
    node: NodeId | None = Field(description="null when the registry has lost it")
    attempt: int | None
    weight: int = Field(description="rows of the shard")
    coefficient: float | None = Field(description="null for rules by column")
    share: float | None = Field(description="share of the lengths that make up the round's change")
    norm: float
    cosine: float = Field(description="cosine with the round's change")
    adapter: Cid


class RefusedLine(BaseModel):
    """An update that a gate kept out."""

    shard: str
    node: NodeId | None
    attempt: int
    gate: str
    reason: str
    adapter: Cid | None


class RoundAccount(BaseModel):
    """A round's aggregation: settings, checkpoint, updates and diagnostics."""

    job: str
    round: int
    strategy: str
    rule: str
    manifest: Cid
    checkpoint: Cid
    accepted: list[AcceptedLine]
    refused: list[RefusedLine]
    diagnostics: RoundDiagnostics


def account_for_round(name: str, number: int, registry: JobRegistry, store: ContentStore) -> RoundAccount:
    """Read an aggregated round, and recompute its diagnostics; no network is needed.

    Raises `JobNotFound`, `RoundOrderError` when the round has no checkpoint yet, and `ContentError` when part of its
    content is missing or altered.
    """
    row = registry.job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    dataset = get_document(store, row.dataset_cid, DatasetManifest)
    attempts = registry.attempts(row.round(number))
    checkpoint = _checkpoint(row, number, attempts, len(dataset.shards), store)
    manifest = get_document(store, get_document(store, checkpoint, Checkpoint).manifest or Cid(""), RoundManifest)
    diagnostics = diagnose_round(manifest, store)
    trained = [one for one in attempts if one.slot < len(dataset.shards)]
    return RoundAccount(
        job=name,
        round=number,
        strategy=manifest.strategy,
        rule=get_document(store, row.spec_cid, JobSpec).robust_aggregation.robust.rule,
        manifest=manifest.cid,
        checkpoint=checkpoint,
        accepted=_accepted(manifest, diagnostics, trained, dataset),
        refused=_refused(manifest, trained, dataset),
        diagnostics=diagnostics,
    )


def _checkpoint(row: JobRow, number: int, attempts: list[Attempt], evaluation_slot: int, store: ContentStore) -> Cid:
    """The checkpoint of a round, from the round's newest evaluation task."""
    for attempt in reversed(attempts):
        if attempt.slot == evaluation_slot:
            return get_document(store, attempt.task_cid, TaskSpec).checkpoints[1]
    raise RoundOrderError(
        f"Round {number} of job {row.name!r} has no evaluated checkpoint yet. See how far the job is with: "
        f"atlas job show {row.name}"
    )


def _accepted(
    manifest: RoundManifest, diagnostics: RoundDiagnostics, attempts: list[Attempt], dataset: DatasetManifest
) -> list[AcceptedLine]:
    by_adapter = {(dataset.shards[one.slot].key, one.result_cid): one for one in attempts if one.state == "completed"}
    lines = []
    for update, influence in zip(manifest.updates, diagnostics.updates, strict=True):
        attempt = by_adapter.get((update.shard, update.adapter))
        lines.append(
            AcceptedLine(
                shard=update.shard,
                node=attempt.node_id if attempt else None,
                attempt=attempt.attempt if attempt else None,
                weight=update.weight,
                coefficient=influence.coefficient,
                share=influence.share,
                norm=influence.norm,
                cosine=influence.cosine,
                adapter=update.adapter,
            )
        )
    return lines


def _refused(manifest: RoundManifest, attempts: list[Attempt], dataset: DatasetManifest) -> list[RefusedLine]:
    nodes = {(dataset.shards[one.slot].key, one.attempt): one.node_id for one in attempts}
    return [
        RefusedLine(node=nodes.get((one.shard, one.attempt)), **one.model_dump(mode="json")) for one in manifest.refused
    ]
