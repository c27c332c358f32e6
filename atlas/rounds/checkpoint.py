"""Compute a round's checkpoint from its manifest."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from atlas.aggregation.aggregate import aggregate_files
from atlas.aggregation.inputs import RoundInputs, Update
from atlas.aggregation.robust.rule import Geometry
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint, RoundManifest
from atlas.documents.stored import get_document, put_document
from atlas.errors import AggregationError
from atlas.ids import Cid
from atlas.spec.job import JobSpec


def untrained_checkpoint(job: Cid, adapter: Cid) -> Checkpoint:
    """The checkpoint of round 0: the untrained adapter, which the job's seed defines."""
    return Checkpoint(job=job, round=0, adapter=adapter, parent=None, manifest=None)


def round_inputs(manifest: RoundManifest, store: ContentStore) -> RoundInputs:
    """A round's files, fetched and verified.

    Raises `AggregationError` when the manifest contradicts its base or its job, `ContentError` when content is missing
    or corrupt.
    """
    base = get_document(store, manifest.base, Checkpoint)
    spec = get_document(store, manifest.job, JobSpec)
    if base.job != manifest.job or base.round != manifest.round - 1:
        raise AggregationError(
            f"Round {manifest.round} must start from round {manifest.round - 1} of the same job; its base "
            f"{manifest.base} is round {base.round} of {base.job}."
        )
    if manifest.strategy != spec.aggregation.strategy:
        raise AggregationError(
            f"The manifest of round {manifest.round} has strategy {manifest.strategy!r}, its job's spec has "
            f"{spec.aggregation.strategy!r}."
        )
    shards = [update.shard for update in manifest.updates]
    if shards != sorted(set(shards)):
        raise AggregationError(f"The updates of a round are listed by shard, each once; found {shards[:20]}.")
    return RoundInputs(
        settings=spec.robust_aggregation,
        round=manifest.round,
        seed=manifest.base,
        scaling=spec.lora.scaling,
        base=store.fetch(base.adapter),
        updates=tuple(Update(one.shard, store.fetch(one.adapter), one.weight) for one in manifest.updates),
        optimizer=store.fetch(base.optimizer) if base.optimizer else None,
        reference=store.fetch(manifest.reference) if manifest.reference else None,
    )


def recompute(
    manifest: RoundManifest, store: ContentStore, keep: Callable[[Path], Cid], geometry: Geometry | None = None
) -> Checkpoint:
    """Compute the checkpoint of a manifest; `keep` is called with each of its files and returns the CID.

    `geometry` is that of the manifest's updates; it is computed if it is needed and not given.
    """
    return _checkpoint(manifest, round_inputs(manifest, store), store, keep, geometry)


def plain_mean(manifest: RoundManifest, store: ContentStore) -> tuple[Cid, Checkpoint] | None:
    """Store and return the checkpoint that the round would have without its job's robust rule; None if there is no
    rule.

    Strategy and outer optimizer are the job's. If the rule changed nothing, the result equals the round's own
    checkpoint. Otherwise it does not follow from the manifest that it names, so it is not a checkpoint of the job.
    """
    inputs = round_inputs(manifest, store)
    if inputs.settings.robust.rule == "none":
        return None
    robust = inputs.settings.robust.model_copy(update={"rule": "none"})
    without_rule = replace(inputs, settings=inputs.settings.model_copy(update={"robust": robust}), reference=None)
    mean = _checkpoint(manifest, without_rule, store, store.put)
    return put_document(store, mean), mean


def _checkpoint(
    manifest: RoundManifest,
    inputs: RoundInputs,
    store: ContentStore,
    keep: Callable[[Path], Cid],
    geometry: Geometry | None = None,
) -> Checkpoint:
    base = get_document(store, manifest.base, Checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        found = aggregate_files(inputs, Path(folder), geometry)
        return Checkpoint(
            job=manifest.job,
            round=manifest.round,
            adapter=keep(found.adapter),
            merged=[*base.merged, *([keep(found.merged)] if found.merged else [])],
            optimizer=keep(found.optimizer) if found.optimizer else None,
            parent=manifest.base,
            manifest=manifest.cid,
        )


def aggregate_round(
    manifest: RoundManifest, store: ContentStore, geometry: Geometry | None = None
) -> tuple[Cid, Checkpoint]:
    """Aggregate, put files, manifest and checkpoint into the store, and return the checkpoint and its CID.

    `geometry` is that of the manifest's updates; it is computed if it is needed and not given.
    """
    checkpoint = recompute(manifest, store, store.put, geometry)
    put_document(store, manifest)
    return put_document(store, checkpoint), checkpoint
