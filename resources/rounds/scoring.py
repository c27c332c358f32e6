"""Scores of a round's updates, from its evaluation or from the geometry of the updates."""

from collections.abc import Mapping

from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, Receipt, RoundManifest, ScoringMethod
from atlas.documents.stored import get_document
from atlas.errors import ContentNotFound
from atlas.ids import Cid
from atlas.spec.job import TaskSpec
from atlas.verification.contribution import choose_method, leave_one_out_scores
from resources.errors import SettlementError
from resources.jobs.opened import OpenJob


def manifest_of(checkpoint: Cid, store: ContentStore) -> RoundManifest:
    """The manifest that a round's checkpoint was made from; raises `SettlementError` for the checkpoint of round 0."""
    manifest = get_document(store, checkpoint, Checkpoint).manifest
    if manifest is None:
        raise SettlementError(f"Checkpoint {checkpoint} is the untrained one; no round has ended with it.")
    return get_document(store, manifest, RoundManifest)


def scoring_method(job: OpenJob, manifest: RoundManifest) -> ScoringMethod:
    """How the updates of a round are scored, if its evaluation has the losses that leave-one-out needs."""
    return choose_method(job.spec.payment.scoring, len(manifest.updates))


def evaluated_without(task: TaskSpec, manifest: RoundManifest, store: ContentStore) -> dict[str, Cid] | None:
    """By shard, the CID of the checkpoint without that shard's update, from the checkpoints of an evaluation.

    Such a checkpoint names the round's manifest without that update. None if one of them is not there.
    """
    made: dict[Cid | None, Cid] = {}
    for cid in task.checkpoints[2:]:
        try:
            made[get_document(store, cid, Checkpoint).manifest] = cid
        except ContentNotFound:
            return None
    manifests = {update.shard: manifest.without(update.shard).cid for update in manifest.updates}
    if not set(manifests.values()) <= made.keys():
        return None
    return {shard: made[cid] for shard, cid in manifests.items()}


def scores_by_losses(without_each: Mapping[str, Cid], evaluation: Receipt | None) -> dict[str, int] | None:
    """Leave-one-out scores by shard, in thousandths, from the checkpoints without one update and their losses.

    None if the evaluation lacks one of them.
    """
    metrics = evaluation.metrics if evaluation else {}
    if not set(without_each.values()) <= metrics.keys():
        return None
    losses = {shard: (metrics[cid]["reference_loss"], metrics[cid]["loss"]) for shard, cid in without_each.items()}
    return leave_one_out_scores(losses)
