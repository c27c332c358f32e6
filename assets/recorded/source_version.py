"""The version of the source that a dataset was read from, recorded in the metadata of the asset `dataset`."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets import partitions
from assets.recorded.records import DATA_VERSION, newest_record
from atlas.data.fingerprint import source_fingerprint
from atlas.errors import DataError
from atlas.spec.dataset import DatasetSpec

SETTINGS, VERSION = "settings", "source_version"
MOST_RECORDS = 100


@dataclass(frozen=True)
class RecordedSource:
    """The record of a dataset from the time it was read."""

    spec: DatasetSpec
    version: str | None
    """None when the source could not be queried for it, or the data stays on its nodes."""
    manifest: str


def source_version(spec: DatasetSpec, cache: Path, log: dg.DagsterLogManager) -> str | None:
    """The source's current version; None, with a warning in the log, when the source cannot be queried."""
    try:
        return source_fingerprint(spec, cache)
    except DataError as error:
        log.warning("the version of %s is not known: %s", spec.source, error)
        return None


def source_facts(spec: DatasetSpec, version: str | None) -> dict[str, dg.MetadataValue]:
    """The metadata from which `recorded_source` restores the source: its settings and version."""
    facts: dict[str, dg.MetadataValue] = {SETTINGS: dg.MetadataValue.json(spec.model_dump(mode="json"))}
    return facts if version is None else {**facts, VERSION: dg.MetadataValue.text(version)}


def recorded_source(instance: dg.DagsterInstance, job: str, manifest: str | None = None) -> RecordedSource | None:
    """The newest record of a job's dataset, or of the given manifest; None when there is none with source metadata."""
    where = dg.AssetRecordsFilter(asset_key=dg.AssetKey("dataset"), asset_partitions=[job])
    for record in instance.fetch_materializations(where, limit=MOST_RECORDS).records:
        event = record.asset_materialization
        if event is None or SETTINGS not in event.metadata:
            continue
        found = (event.tags or {}).get(DATA_VERSION, "")
        if manifest in (None, found):
            version = event.metadata.get(VERSION)
            spec = DatasetSpec.model_validate(event.metadata[SETTINGS].value)
            return RecordedSource(spec, str(version.value) if version else None, found)
    return None


def opened_source(instance: dg.DagsterInstance, job: str) -> RecordedSource | None:
    """The record of the dataset that a job was opened with; None when nothing was recorded."""
    record = newest_record(instance, "base_checkpoint", partitions.round_key(job, 1))
    event = record.asset_materialization if record else None
    if event is None or "dataset" not in event.metadata:
        return None
    return recorded_source(instance, job, str(event.metadata["dataset"].value))
