"""The parts of a round manifest: accepted and refused updates, and the quorum."""

import math
from collections.abc import Iterable, Sequence

from atlas.counts import counted
from atlas.documents.manifests import AcceptedUpdate, RefusedUpdate, RoundManifest
from atlas.verification.job_data import reaches_quorum
from resources.dispatch.outcomes import CompletedTask
from resources.errors import QuorumError
from resources.jobs.open_job import OpenJob
from resources.jobs.registry import Attempt
from resources.rounds.causes import Cause, advice, describe_causes, is_stuck


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


def quorum_reached(job: OpenJob, manifest: RoundManifest) -> bool:
    """Whether enough shards have an accepted update."""
    return reaches_quorum(job.spec, len(manifest.updates), len(job.dataset.shards))


def quorum_error(job: OpenJob, number: int, updates: int, causes: Sequence[Cause]) -> QuorumError:
    """The error of a round with too few accepted updates, with causes and remedy."""
    shards = len(job.dataset.shards)
    needed = max(1, math.ceil(job.spec.aggregation.quorum * shards))
    return QuorumError(
        f"Round {number} of job {job.name!r} has {updates} of the {counted(needed, 'update')} that its quorum "
        f"requires. {describe_causes(causes, shards)} "
        f"{advice(job.name, causes, is_stuck(causes, shards, updates, needed))}"
    )
