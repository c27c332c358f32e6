"""Check that the updates of a round were trained on the job's dataset. Reads only documents, no rows."""

from dataclasses import dataclass

from atlas.counts import counted
from atlas.documents.manifests import AcceptedUpdate, DatasetManifest, RoundManifest, ShardManifest
from atlas.errors import VerificationError
from atlas.spec.job import JobSpec

CHECK = "dataset"
"""The name of this check in `atlas verify`."""


@dataclass(frozen=True)
class JobRecord:
    """Facts about a job from the chain or from its coordinator, which the checkpoints do not contain."""

    dataset: DatasetManifest
    start: str | None = None
    """CID of the Checkpoint of round 0; None if it is not recorded."""


def reaches_quorum(spec: JobSpec, updates: int, shards: int) -> bool:
    """Whether this number of updates reaches the job's quorum of the dataset's shards."""
    return updates >= spec.aggregation.quorum * shards


def check_round_data(manifest: RoundManifest, spec: JobSpec, dataset: DatasetManifest) -> None:
    """Compare a round's updates with the dataset of its job.

    Raises `VerificationError` for a round that the job does not have, an update whose shard, rows or weight differ from
    the dataset, two updates of one shard, and fewer updates than the quorum.
    """
    if manifest.round > spec.rounds:
        raise VerificationError(
            f"Round {manifest.round}: the job {manifest.job} has {counted(spec.rounds, 'round')}.",
            CHECK,
            expected=f"at most {spec.rounds}",
            found=str(manifest.round),
        )
    shards = {shard.key: shard for shard in dataset.shards}
    used: set[str] = set()
    for update in manifest.updates:
        _check_update(manifest.round, update, shards.get(update.shard), dataset)
        if update.shard in used:
            raise VerificationError(
                f"Round {manifest.round}: two updates are of shard {update.shard}.",
                CHECK,
                expected="one update of each shard",
                found=f"two of {update.shard}",
            )
        used.add(update.shard)
    if not reaches_quorum(spec, len(used), len(shards)):
        raise VerificationError(
            f"Round {manifest.round}: {len(used)} of {len(shards)} shards have an update; the job's quorum is "
            f"{spec.aggregation.quorum:g} of the shards.",
            CHECK,
            expected=f"{spec.aggregation.quorum:g} of {len(shards)} shards",
            found=f"{len(used)} of {len(shards)} shards",
        )


def _check_update(number: int, update: AcceptedUpdate, shard: ShardManifest | None, dataset: DatasetManifest) -> None:
    where = f"Round {number}, {update.shard}"
    if shard is None:
        raise VerificationError(
            f"{where}: the job's dataset {dataset.cid} has no such shard.",
            CHECK,
            expected=f"a shard of {dataset.cid}",
            found=update.shard,
        )
    if update.data != shard.cid:
        raise VerificationError(
            f"{where}: the rows in the job's dataset {dataset.cid} are {shard.cid}, but this update was made from "
            f"{update.data}.",
            CHECK,
            expected=shard.cid,
            found=update.data,
        )
    if update.weight != shard.weight:
        raise VerificationError(
            f"{where}: the weight by the job's dataset {dataset.cid} is {shard.weight}, but this update has "
            f"{update.weight}.",
            CHECK,
            expected=str(shard.weight),
            found=str(update.weight),
        )
