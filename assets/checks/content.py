"""Checks on content: whether there are enough copies, and whether a dataset's source has changed since it was read."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import dagster as dg

from assets import partitions
from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.dataset import dataset
from assets.plain_errors import plain_errors
from assets.recorded.records import recorded_version
from assets.recorded.source_version import RecordedSource, recorded_source
from assets.shown import tables
from atlas.content.store import KeptStore, Replicas
from atlas.data.fingerprint import source_fingerprint
from atlas.documents.document import Document
from atlas.documents.manifests import Checkpoint, DatasetManifest
from atlas.documents.stored import get_document
from atlas.errors import ContentError, DataError, SpecError
from atlas.ids import Cid
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource

Kind = TypeVar("Kind", bound=Document)
WARN = dg.AssetCheckSeverity.WARN
Named = tuple[str, Cid]
"""A description of a content, and its CID."""


@dg.asset_check(
    asset=dataset,
    name="replicas",
    description="The manifest and each shard have as many complete, reachable copies as the settings require.",
)
@plain_errors
def dataset_replicas(context: dg.AssetCheckExecutionContext, content: ContentResource) -> dg.AssetCheckResult:
    """Queries every place of the store for every content of the dataset, or of all datasets."""
    manifests = _versions(context, "dataset", _partitions(context, partitions.JOBS))
    return _copies(content.store, (named for key, cid in manifests for named in _of_dataset(key, cid, content.store)))


@dg.asset_check(
    asset=aggregated_checkpoint,
    name="replicas",
    description="The checkpoint and each of its files have as many complete, reachable copies as the settings require.",
)
@plain_errors
def checkpoint_replicas(context: dg.AssetCheckExecutionContext, content: ContentResource) -> dg.AssetCheckResult:
    """Queries every place of the store for every file of the round's checkpoint, or of each job's newest."""
    rounds = _partitions(context, partitions.ROUNDS)
    checkpoints = _versions(context, "aggregated_checkpoint", rounds)
    newest = {_job(key): (key, cid) for key, cid in checkpoints}
    return _copies(
        content.store, (named for key, cid in newest.values() for named in _of_checkpoint(key, cid, content.store))
    )


@dg.asset_check(
    asset=dataset,
    name="fresh",
    description="The source still has the version that the manifest was read from.",
)
@plain_errors
def dataset_fresh(context: dg.AssetCheckExecutionContext, coordinator: CoordinatorResource) -> dg.AssetCheckResult:
    """Reads the current version of the source of the dataset, or of all datasets."""
    cache = coordinator.home.root / "cache"
    found = {job: recorded_source(context.instance, job) for job in _partitions(context, partitions.JOBS)}
    rows = [{"job": job, **_freshness(source, cache)} for job, source in found.items() if source is not None]
    moved = [str(row["job"]) for row in rows if row["state"] not in ("fresh", "not known")]
    return dg.AssetCheckResult(
        passed=not moved,
        severity=WARN,
        description=f"Changed, or cannot be read: {', '.join(moved)}." if moved else None,
        metadata={"sources": tables.table(rows)},
    )


def _freshness(source: RecordedSource, cache: Path) -> dict[str, str | None]:
    row = {"source": source.spec.source, "read_from": source.version, "now": None}
    try:
        now = source_fingerprint(source.spec, cache)
    except DataError as error:
        return {**row, "state": str(error)}
    if now is None or source.version is None:
        return {**row, "now": now, "state": "not known"}
    return {**row, "now": now, "state": "fresh" if now == source.version else "changed"}


def _partitions(context: dg.AssetCheckExecutionContext, name: str) -> list[str]:
    """The partition that was just materialized, or all partitions when the check runs without one."""
    if context.has_partition_key:
        return [context.partition_key]
    return sorted(context.instance.get_dynamic_partitions(name))


def _versions(context: dg.AssetCheckExecutionContext, asset: str, keys: Iterable[str]) -> list[tuple[str, Cid]]:
    """The keys and CIDs of the materialized partitions, in the order of `keys`."""
    found = [(key, recorded_version(context.instance, asset, key)) for key in keys]
    return [(key, Cid(cid)) for key, cid in found if cid is not None]


def _job(round_key: str) -> str:
    try:
        return partitions.parse_round_key(round_key)[0]
    except SpecError:
        return round_key  # the UI lets anybody add any key


def _of_dataset(job: str, cid: Cid, store: KeptStore) -> Iterator[Named]:
    yield f"{job}: manifest", cid
    manifest = _read(store, cid, DatasetManifest)
    if manifest is None:
        return
    for shard in [*manifest.shards, manifest.holdout, *([manifest.reference] if manifest.reference else [])]:
        yield f"{job}: {shard.key}", shard.cid


def _of_checkpoint(key: str, cid: Cid, store: KeptStore) -> Iterator[Named]:
    yield f"{key}: checkpoint", cid
    checkpoint = _read(store, cid, Checkpoint)
    if checkpoint is None:
        return
    yield f"{key}: adapter", checkpoint.adapter
    for factors in checkpoint.merged:
        yield f"{key}: merged factors", factors
    if checkpoint.optimizer is not None:
        yield f"{key}: optimizer state", checkpoint.optimizer
    if checkpoint.manifest is not None:
        yield f"{key}: round manifest", checkpoint.manifest


def _copies(store: KeptStore, named: Iterable[Named]) -> dg.AssetCheckResult:
    found = [(what, _ask(store, cid)) for what, cid in named]
    short = [what for what, replicas in found if not replicas.enough]
    return dg.AssetCheckResult(
        passed=not short,
        severity=WARN,
        description=f"Too few copies of {', '.join(short[:10])}{' and others' * (len(short) > 10)}." if short else None,
        metadata={
            "contents": len(found),
            "short": len(short),
            **tables.table_with_cids("copies", (_row(*one) for one in found), ["content"], ["cid"]),
        },
    )


def _read(store: KeptStore, cid: Cid, kind: type[Kind]) -> Kind | None:
    """A document, or None if it cannot be read.

    The row of this CID in the table then shows the error, and the check does not fail its run.
    """
    try:
        return get_document(store, cid, kind)
    except (ContentError, SpecError):
        return None


def _ask(store: KeptStore, cid: Cid) -> Replicas:
    try:
        return store.replicas(cid)
    except ContentError as error:
        return Replicas(cid, wanted=1, holders=[], silent=[str(error)])


def _row(what: str, replicas: Replicas) -> dict[str, str | int]:
    return {
        "content": what,
        "cid": replicas.cid,
        "wanted": replicas.wanted,
        "copies": len(replicas.holders),
        "holders": ", ".join(replicas.holders),
        "silent": ", ".join(replicas.silent),
    }
