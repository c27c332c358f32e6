"""Recompute a checkpoint from its manifest, and every one before it, down to the untrained adapter."""

from collections.abc import Callable
from dataclasses import dataclass

from atlas.aggregation.aggregate import genesis, recompute
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.content.cid import cid_of_file
from atlas.content.store import ContentStore, get_document
from atlas.data.local_data import LocalData
from atlas.errors import VerificationError
from atlas.manifests import AcceptedUpdate, Checkpoint, RoundManifest
from atlas.spec import JobSpec


@dataclass(frozen=True)
class VerifiedCheckpoint:
    """A checkpoint whose bytes follow from its manifest."""

    cid: str
    round: int
    adapter: str
    updates: int
    weights_checked: bool = True
    """Whether the weight of each update was compared with its shard; not where its rows are sealed and stay so."""


CountSealed = Callable[[str, JobSpec], int | None]
"""Rows of a job's sealed shard, by CID; None for whoever has no key for it."""


def verify_checkpoint(
    cid: str,
    store: ContentStore,
    on_checkpoint: Callable[[VerifiedCheckpoint], None] = lambda _: None,
    rebuild: Callable[[JobSpec], str] | None = None,
    count_sealed: CountSealed = lambda data, spec: None,
) -> list[VerifiedCheckpoint]:
    """Verify a checkpoint and its ancestors, newest first.

    `rebuild` makes a job's untrained adapter anew and gives its CID; without it, the adapter of round 0 is only read
    and found to be the named bytes. `count_sealed` compares the weights of sealed shards, for whoever has their keys.
    Raises `VerificationError` that names the round, the files and both CIDs at the first difference, `ContentError`
    when something that the proof needs is missing or altered.
    """
    verified = []
    while True:
        checkpoint = get_document(store, cid, Checkpoint)
        if checkpoint.manifest is None:
            result = _verify_start(cid, checkpoint, store, rebuild)
        else:
            result = _verify_round(cid, checkpoint, checkpoint.manifest, store, count_sealed)
        on_checkpoint(result)
        verified.append(result)
        if checkpoint.parent is None:
            return verified
        cid = checkpoint.parent


def _verify_start(
    cid: str, checkpoint: Checkpoint, store: ContentStore, rebuild: Callable[[JobSpec], str] | None
) -> VerifiedCheckpoint:
    if checkpoint != genesis(checkpoint.job, checkpoint.adapter):
        raise VerificationError(f"Checkpoint {cid} has no manifest, yet is not round 0 of {checkpoint.job}.")
    store.fetch(checkpoint.adapter)
    if rebuild is not None:
        rebuilt = rebuild(get_document(store, checkpoint.job, JobSpec))
        if rebuilt != checkpoint.adapter:
            raise VerificationError(
                f"Round 0: the seed of job {checkpoint.job} gives the untrained adapter {rebuilt} here, but checkpoint "
                f"{cid} has {checkpoint.adapter}. Compare the versions of torch, transformers and peft before you "
                "reject it: another one may draw other numbers."
            )
    return VerifiedCheckpoint(cid, 0, checkpoint.adapter, 0)


def _verify_round(
    cid: str, checkpoint: Checkpoint, manifest_cid: str, store: ContentStore, count_sealed: CountSealed
) -> VerifiedCheckpoint:
    manifest = get_document(store, manifest_cid, RoundManifest)
    spec = get_document(store, manifest.job, JobSpec)
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
            f"{_differences(recomputed, checkpoint)}.{lapack}"
        )
    return VerifiedCheckpoint(cid, checkpoint.round, checkpoint.adapter, len(manifest.updates), all(compared))


def _differences(expected: Checkpoint, found: Checkpoint) -> str:
    """What differs, with both values."""
    before, after = expected.model_dump(), found.model_dump()
    return "; ".join(
        f"{field} differs: expected {_text(before[field])}, found {_text(after[field])}"
        for field in before
        if before[field] != after[field]
    )


def _text(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value or "none")


def _verify_weight(update: AcceptedUpdate, spec: JobSpec, store: ContentStore, count_sealed: CountSealed) -> bool:
    """Whether the rows of an update's shard could be counted; raises `VerificationError` when they do not fit."""
    data, weight = update.data, update.weight
    sealed = spec.dataset.keyring is not None
    rows = count_sealed(data, spec) if sealed else store.read(data).count(b"\n")
    if rows is not None and rows != weight:
        raise VerificationError(f"Shard {data} has {rows} rows, but its update was weighted with {weight}.")
    return rows is not None


def _verify_local_weight(update: AcceptedUpdate, spec: JobSpec, store: ContentStore) -> bool:
    """The weight by what the node has registered of data that stays there, which nobody else can count."""
    registered = get_document(store, update.data, LocalData)
    expected = registered.rows if spec.fleet.trusted else 1
    if update.weight != expected:
        raise VerificationError(
            f"The data set {registered.name!r} of {registered.address} counts as {expected} in a job whose nodes are "
            f"{'' if spec.fleet.trusted else 'not '}trusted, but its update was weighted with {update.weight}."
        )
    return True
