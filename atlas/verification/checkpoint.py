"""Recompute a checkpoint from its manifest, and every one before it, down to the untrained adapter."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atlas.aggregation.aggregate import aggregate_adapters, checkpoint_of, genesis
from atlas.content.cid import cid_of_file
from atlas.content.store import ContentStore, get_document
from atlas.errors import VerificationError
from atlas.manifests import Checkpoint, RoundManifest


@dataclass(frozen=True)
class VerifiedCheckpoint:
    """A checkpoint whose bytes follow from its manifest."""

    cid: str
    round: int
    adapter: str | None
    updates: int


def verify_checkpoint(
    cid: str, store: ContentStore, on_checkpoint: Callable[[VerifiedCheckpoint], None] = lambda _: None
) -> list[VerifiedCheckpoint]:
    """Verify a checkpoint and its ancestors, newest first.

    Raises `VerificationError` that names the round and both CIDs at the first difference, `ContentError` when
    something that the proof needs is missing or altered.
    """
    verified = []
    while True:
        checkpoint = get_document(store, cid, Checkpoint)
        result = _verify_one(cid, checkpoint, store)
        on_checkpoint(result)
        verified.append(result)
        if checkpoint.parent is None:
            return verified
        cid = checkpoint.parent


def _verify_one(cid: str, checkpoint: Checkpoint, store: ContentStore) -> VerifiedCheckpoint:
    if checkpoint.manifest is None:
        expected = genesis(checkpoint.job)
        if checkpoint != expected:
            raise VerificationError(f"Checkpoint {cid} has no manifest, yet is not round 0 of {checkpoint.job}.")
        return VerifiedCheckpoint(cid, 0, None, 0)
    manifest = get_document(store, checkpoint.manifest, RoundManifest)
    for update in manifest.updates:
        _verify_weight(update.data, update.weight, store)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "adapter.safetensors"
        aggregate_adapters(manifest, store, out)
        recomputed = checkpoint_of(manifest, cid_of_file(out))
    if recomputed.cid != cid:
        raise VerificationError(
            f"Round {checkpoint.round}: manifest {manifest.cid} gives checkpoint {recomputed.cid} with adapter "
            f"{recomputed.adapter}, expected {cid} with {checkpoint.adapter}. Do not use this checkpoint."
        )
    return VerifiedCheckpoint(cid, checkpoint.round, checkpoint.adapter, len(manifest.updates))


def _verify_weight(data: str, weight: int, store: ContentStore) -> None:
    rows = store.read(data).count(b"\n")
    if rows != weight:
        raise VerificationError(f"Shard {data} has {rows} rows, but its update was weighted with {weight}.")
