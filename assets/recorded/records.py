"""This Dagster instance's records of an asset's partition. A data version is a CID, so a record leads to its bytes."""

import dagster as dg

from atlas.errors import ContentNotFound
from atlas.ids import Cid

DATA_VERSION = "dagster/data_version"
INPUT_VERSION = "dagster/input_data_version"


def recorded_version(instance: dg.DagsterInstance, asset: str, partition: str) -> str | None:
    """The data version of the newest materialization, or None when there is none."""
    record = newest_record(instance, asset, partition)
    event = record.asset_materialization if record else None
    return (event.tags or {}).get(DATA_VERSION) if event else None


def recorded_cid(context: dg.AssetExecutionContext, asset: str) -> Cid:
    """The CID that `asset` has in this partition; raises `ContentNotFound` that names the job to launch."""
    cid = recorded_version(context.instance, asset, context.partition_key)
    if cid is None:
        raise ContentNotFound(f"{asset} has no partition {context.partition_key} yet. Launch federated_round for it.")
    return Cid(cid)


def newest_record(instance: dg.DagsterInstance, asset: str, partition: str) -> dg.EventLogRecord | None:
    """The newest materialization of one partition, with the run that made it."""
    where = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition])
    return next(iter(instance.fetch_materializations(where, limit=1).records), None)


def unless_recorded(instance: dg.DagsterInstance, event: dg.AssetMaterialization) -> list[dg.AssetMaterialization]:
    """Return `[event]`, or `[]` if the partition's newest materialization has the same data version."""
    asset, partition = event.asset_key.to_user_string(), str(event.partition)
    return [] if recorded_version(instance, asset, partition) == (event.tags or {})[DATA_VERSION] else [event]
