"""The parts of a round manifest: accepted and refused updates."""

from collections.abc import Iterable

from atlas.documents.manifests import AcceptedUpdate, RefusedUpdate
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt


def refused_updates(job: OpenJob, attempts: Iterable[Attempt]) -> list[RefusedUpdate]:
    """The updates that the gates have refused among a round's attempts, by shard and attempt."""
    found = [
        RefusedUpdate(
            shard=job.dataset.shards[one.slot].key,
            attempt=one.attempt,
            adapter=one.result_cid,
            gate=one.gate,
            reason=one.reason or "",
        )
        for one in attempts
        if one.gate is not None and one.slot < job.evaluation_slot
    ]
    return sorted(found, key=lambda one: (one.shard, one.attempt))


def accepted_update(job: OpenJob, outcome: CompletedTask) -> AcceptedUpdate:
    """The entry of an update that passed the gates; its weight is that of the shard in the dataset manifest."""
    shard = job.dataset.shards[outcome.task.slot]
    return AcceptedUpdate(shard=shard.key, data=shard.cid, adapter=outcome.result, weight=shard.weight)
