"""Recompute a checkpoint and all its ancestors from their manifests, down to the untrained adapter."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.content.format.cid import cid_of_file
from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.data.local_data import LocalData
from atlas.documents.manifests import AcceptedUpdate, Checkpoint, RoundManifest
from atlas.documents.stored import get_document
from atlas.errors import VerificationError
from atlas.ids import Cid
from atlas.rounds.checkpoint import recompute, untrained_checkpoint
from atlas.spec.job import JobSpec
from atlas.verification.job_data import JobRecord, check_round_data


@dataclass(frozen=True)
class VerifiedCheckpoint:
    """A checkpoint whose bytes were recomputed from its manifest."""

    cid: Cid
    round: int
    adapter: Cid
    updates: int
    weights_checked: bool = True
    """Whether the weight of each update was compared with its shard; False if a sealed shard could not be opened."""
    dataset_checked: bool = False
    """Whether the updates were compared with the job's dataset; False in round 0, and if the dataset is unknown."""


CountSealed = Callable[[Cid, JobSpec], int | None]
"""Counts the rows of a job's sealed shard, by its CID; returns None without the shard's key."""


def verify_checkpoint(
    cid: Cid,
    store: ContentStore,
    on_checkpoint: Callable[[VerifiedCheckpoint], None] = lambda _: None,
    rebuild: Callable[[JobSpec], Cid] | None = None,
    count_sealed: CountSealed = lambda data, spec: None,
    record: JobRecord | None = None,
) -> list[VerifiedCheckpoint]:
    """Verify a checkpoint and its ancestors, newest first.

    `rebuild` computes a job's untrained adapter again and returns its CID; without it, the adapter of round 0 is only
    compared with its CID. `count_sealed` counts the rows of sealed shards, which needs their keys. `record` has the
    job's dataset, which checkpoints do not name; without it, the updates may come from any rows.

    For each checkpoint, the adapter, the factors that its round merged and the optimizer's state are read; so are the
    updates, their shards, and the reference update. Refused updates have no effect on the result and are not read.
    Raises `VerificationError` that names the round, the files and both CIDs at the first difference, and `ContentError`
    when required content is missing or altered.
    """
    verified = []
    while True:
        checkpoint = get_document(store, cid, Checkpoint)
        if checkpoint.manifest is None:
            result = _verify_start(cid, checkpoint, store, rebuild, record)
        else:
            result = _verify_round(cid, checkpoint, checkpoint.manifest, store, count_sealed, record)
        on_checkpoint(result)
        verified.append(result)
        if checkpoint.parent is None:
            return verified
        cid = checkpoint.parent


def _verify_start(
    cid: Cid,
    checkpoint: Checkpoint,
    store: ContentStore,
    rebuild: Callable[[JobSpec], Cid] | None,
    record: JobRecord | None,
) -> VerifiedCheckpoint:
    if checkpoint != untrained_checkpoint(checkpoint.job, checkpoint.adapter):
        raise VerificationError(
            f"Checkpoint {cid} has no manifest, but is not round 0 of {checkpoint.job}.",
            "start",
            expected="round 0",
            found=f"round {checkpoint.round}",
        )
    if record is not None and record.start not in (None, cid):
        raise VerificationError(
            f"Round 0: job {checkpoint.job} was opened with {record.start}, found {cid}.",
            "start",
            expected=record.start,
            found=cid,
        )
    _read_files(checkpoint, store)
    if rebuild is not None:
        rebuilt = rebuild(get_document(store, checkpoint.job, JobSpec))
        if rebuilt != checkpoint.adapter:
            raise VerificationError(
                f"Round 0: the seed of job {checkpoint.job} gives the untrained adapter {rebuilt} here, but checkpoint "
                f"{cid} has {checkpoint.adapter}. Compare the versions of torch, transformers and peft before you "
                "reject it: another one may draw other numbers.",
                "start",
                expected=rebuilt,
                found=checkpoint.adapter,
            )
    return VerifiedCheckpoint(cid, 0, checkpoint.adapter, 0)


def _verify_round(
    cid: Cid,
    checkpoint: Checkpoint,
    manifest_cid: Cid,
    store: ContentStore,
    count_sealed: CountSealed,
    record: JobRecord | None,
) -> VerifiedCheckpoint:
    manifest = get_document(store, manifest_cid, RoundManifest)
    spec = get_document(store, manifest.job, JobSpec)
    if record is not None:
        check_round_data(manifest, spec, record.dataset)
    if spec.dataset.node_local is None:
        compared = [_verify_weight(update, spec, store, count_sealed) for update in manifest.updates]
    else:
        compared = [_verify_local_weight(update, spec, store) for update in manifest.updates]
    recomputed = recompute(manifest, store, cid_of_file)
    if recomputed.cid != cid:
        lapack = (
            f" {manifest.strategy} calls LAPACK, whose kernels differ by CPU: before you reject it, verify on a CPU of "
            "the coordinator's kind, or with the OPENBLAS_CORETYPE and the NumPy that the coordinator had."
            if not STRATEGIES[manifest.strategy].portable
            else " Do not use this checkpoint."
        )
        raise VerificationError(
            f"Round {checkpoint.round}: manifest {manifest.cid} gives checkpoint {recomputed.cid}, found {cid}. "
            f"{_differences(recomputed, checkpoint)}.{lapack}",
            "rounds",
            expected=recomputed.cid,
            found=cid,
        )
    _read_files(checkpoint, store)
    return VerifiedCheckpoint(
        cid, checkpoint.round, checkpoint.adapter, len(manifest.updates), all(compared), record is not None
    )


def _read_files(checkpoint: Checkpoint, store: ContentStore) -> None:
    """Read a checkpoint's files, so that the store detects altered bytes; earlier factors are read in their rounds."""
    for cid in (checkpoint.adapter, *checkpoint.merged[-1:], *filter(None, [checkpoint.optimizer])):
        store.fetch(cid)


def _differences(expected: Checkpoint, found: Checkpoint) -> str:
    """The fields that differ, with both values."""
    before, after = expected.model_dump(), found.model_dump()
    return "; ".join(
        f"{field} differs: expected {_text(before[field])}, found {_text(after[field])}"
        for field in before
        if before[field] != after[field]
    )


def _text(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value or "none")


def _verify_weight(update: AcceptedUpdate, spec: JobSpec, store: ContentStore, count_sealed: CountSealed) -> bool:
    """Whether the shard's rows could be counted; raises `VerificationError` if they differ from the update's weight."""
    data, weight = update.data, update.weight
    path = store.fetch(data)
    rows = count_sealed(data, spec) if spec.dataset.keyring is not None else _count_rows(path)
    if rows is not None and rows != weight:
        raise VerificationError(
            f"Shard {data} has {counted(rows, 'row')}, but its update was weighted with {weight}.",
            "rows",
            expected=str(rows),
            found=str(weight),
        )
    return rows is not None


def _count_rows(path: Path) -> int:
    with path.open("rb") as rows:
        return sum(block.count(b"\n") for block in iter(lambda: rows.read(2**20), b""))


def _verify_local_weight(update: AcceptedUpdate, spec: JobSpec, store: ContentStore) -> bool:
    """Compare the weight with the number of rows that the node published; other machines cannot count them.

    Returns True. Raises `VerificationError` if the weight is wrong.
    """
    registered = get_document(store, update.data, LocalData)
    expected = registered.rows if spec.fleet.trusted else 1
    if update.weight != expected:
        raise VerificationError(
            f"The dataset {registered.name!r} of {registered.address} counts as {expected} in a job whose nodes are "
            f"{'' if spec.fleet.trusted else 'not '}trusted, but its update was weighted with {update.weight}.",
            "rows",
            expected=str(expected),
            found=str(update.weight),
        )
    return True
