"""From a round manifest to the checkpoint that the round ends with."""

import tempfile
from pathlib import Path

from atlas.aggregation.mean import weighted_mean
from atlas.content.store import ContentStore, get_document, put_document
from atlas.errors import AggregationError
from atlas.manifests import Checkpoint, RoundManifest


def genesis(job: str) -> Checkpoint:
    """The checkpoint of round 0: the untrained adapter, which the job's seed defines on every node alike."""
    return Checkpoint(job=job, round=0, adapter=None, parent=None, manifest=None)


def aggregate_adapters(manifest: RoundManifest, store: ContentStore, out: Path) -> None:
    """Write the aggregated adapter; the same manifest gives the same bytes on any machine."""
    if manifest.strategy != "fedavg":
        raise AggregationError(f"Strategy {manifest.strategy!r} is unknown; this version has: fedavg.")
    weighted_mean([(store.fetch(update.adapter), update.weight) for update in manifest.updates], out)


def checkpoint_of(manifest: RoundManifest, adapter: str) -> Checkpoint:
    """The checkpoint document of an aggregated adapter."""
    return Checkpoint(
        job=manifest.job, round=manifest.round, adapter=adapter, parent=manifest.base, manifest=manifest.cid
    )


def aggregate_round(manifest: RoundManifest, store: ContentStore) -> tuple[str, Checkpoint]:
    """Aggregate, put adapter, manifest and checkpoint into the store, and return the checkpoint and its CID.

    Raises `AggregationError` when the base is not the checkpoint of the round before, `ContentError` when an
    adapter is missing or altered.
    """
    base = get_document(store, manifest.base, Checkpoint)
    if base.job != manifest.job or base.round != manifest.round - 1:
        raise AggregationError(
            f"Round {manifest.round} must start from round {manifest.round - 1} of the same job; its base "
            f"{manifest.base} is round {base.round} of {base.job}."
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "adapter.safetensors"
        aggregate_adapters(manifest, store, out)
        adapter = store.put(out)
    put_document(store, manifest)
    checkpoint = checkpoint_of(manifest, adapter)
    return put_document(store, checkpoint), checkpoint
