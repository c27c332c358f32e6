"""This Dagster instance's records of an asset's partition. A data version is a CID, so a record leads to its bytes."""

from collections.abc import Collection, Sequence

import dagster as dg

from atlas.errors import ContentNotFound
from atlas.ids import Cid

DATA_VERSION = "dagster/data_version"
INPUT_VERSION = "dagster/input_data_version"
PAGE = 1000
"""Most records of one query."""


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


def newest_records(instance: dg.DagsterInstance, asset: str, keys: Collection[str]) -> dict[str, dg.EventLogRecord]:
    """The newest materialization of each of these partitions, without those that have none.

    The number of queries depends on the number of records, in pages of `PAGE`, not on the number of partitions.
    """
    where = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[str(key) for key in keys])
    found: dict[str, dg.EventLogRecord] = {}
    cursor, more = None, bool(keys)
    while more and len(found) < len(keys):
        page = instance.fetch_materializations(where, limit=PAGE, cursor=cursor)
        for record in page.records:
            found.setdefault(str(record.partition_key), record)
        cursor, more = page.cursor, page.has_more
    return found


def is_recorded(event: dg.AssetMaterialization, newest: dg.EventLogRecord | None) -> bool:
    """Whether the newest materialization of the event's partition has the event's data version."""
    recorded = newest.asset_materialization if newest else None
    return recorded is not None and (recorded.tags or {}).get(DATA_VERSION) == (event.tags or {})[DATA_VERSION]


def unless_recorded(
    instance: dg.DagsterInstance, events: Sequence[dg.AssetMaterialization]
) -> list[dg.AssetMaterialization]:
    """The events whose partition's newest materialization does not have the same data version."""
    keys: dict[str, set[str]] = {}
    for event in events:
        keys.setdefault(event.asset_key.to_user_string(), set()).add(str(event.partition))
    newest = {asset: newest_records(instance, asset, wanted) for asset, wanted in keys.items()}
    return [
        event
        for event in events
        if not is_recorded(event, newest[event.asset_key.to_user_string()].get(str(event.partition)))
    ]
