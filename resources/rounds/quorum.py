"""The quorum of a round: how many shards must have an accepted update."""

import math
from collections.abc import Sequence

from atlas.counts import counted
from atlas.documents.manifests import RoundManifest
from atlas.verification.job_data import reaches_quorum
from resources.errors import QuorumError
from resources.jobs.opened import OpenJob
from resources.rounds.causes import Cause, advice, describe_causes, is_stuck


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
