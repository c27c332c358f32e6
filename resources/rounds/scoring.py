"""Scores of a round's updates: the checkpoints that the evaluation must include, and the scores from its result."""

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, Receipt, RoundManifest, ScoringMethod
from atlas.documents.stored import get_document
from atlas.verification.contribution import (
    NEUTRAL,
    alignment_scores,
    choose_method,
    leave_one_out_scores,
)
from resources.errors import SettlementError
from resources.jobs.open_job import OpenJob


def manifest_of(checkpoint: str, store: ContentStore) -> RoundManifest:
    """The manifest that a round's checkpoint was made from; raises `SettlementError` for the checkpoint of round 0."""
    manifest = get_document(store, checkpoint, Checkpoint).manifest
    if manifest is None:
        raise SettlementError(f"Checkpoint {checkpoint} is the untrained one; no round has ended with it.")
    return get_document(store, manifest, RoundManifest)


def checkpoints_without(job: OpenJob, checkpoint: str, store: ContentStore) -> dict[str, str]:
    """By shard, the CID of the round's checkpoint without that shard's update; each is put into the store.

    Empty if the round is not scored by leave-one-out.
    """
    from atlas.rounds.checkpoint import aggregate_round  # numpy, which most importers of this module do not need

    manifest = manifest_of(checkpoint, store)
    if _method(job, manifest) != "leave-one-out":
        return {}
    return {update.shard: aggregate_round(_without(manifest, update.shard), store)[0] for update in manifest.updates}


def score_updates(
    job: OpenJob, checkpoint: str, evaluation: Receipt | None, store: ContentStore
) -> tuple[ScoringMethod, dict[str, int]]:
    """How a round was scored, and the score of each aggregated update by shard, in thousandths.

    Leave-one-out needs the losses in the evaluation's receipt; a round whose evaluation lacks them is scored by
    alignment. The same content gives the same scores.
    """
    manifest = manifest_of(checkpoint, store)
    method = _method(job, manifest)
    if method == "leave-one-out":
        without = checkpoints_without(job, checkpoint, store)
        metrics = evaluation.metrics if evaluation else {}
        if set(without.values()) <= metrics.keys():
            losses = {shard: (metrics[cid]["reference_loss"], metrics[cid]["loss"]) for shard, cid in without.items()}
            return method, leave_one_out_scores(losses)
        method = "alignment"
    if method == "alignment":
        from atlas.aggregation.coefficients import geometry_of
        from atlas.rounds.checkpoint import round_inputs

        shards = [update.shard for update in manifest.updates]
        return method, alignment_scores(shards, geometry_of(round_inputs(manifest, store)))
    return method, {update.shard: NEUTRAL for update in manifest.updates}


def _method(job: OpenJob, manifest: RoundManifest) -> ScoringMethod:
    return choose_method(job.spec.payment.scoring, len(manifest.updates))


def _without(manifest: RoundManifest, shard: str) -> RoundManifest:
    return manifest.model_copy(update={"updates": [one for one in manifest.updates if one.shard != shard]})
