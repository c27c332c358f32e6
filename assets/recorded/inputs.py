"""Tags that record which versions of its inputs a materialization was made from.

Dagster writes them for the result of a step, but with a hash in place of an input's CID. An event that a step reports
for another asset has none, and is then compared by time: a repeated round would show every adapter as outdated. The
tags must be complete, because with some of them alone the UI shows an input as new.
"""

from collections.abc import Iterable, Mapping

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from assets.recorded.records import DATA_VERSION, newest_record
from atlas.content.format.cid import cid_of_bytes


def input_tags(records: Iterable[dg.EventLogRecord | None], run_id: str) -> dict[str, str]:
    """The tags of an event made from the recorded materializations, one per input; {} if one of them is missing.

    `run_id` takes the place of the code's version, as Dagster does it for assets that have none.
    """
    tags = {CODE_VERSION_TAG: run_id, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    for record in records:
        event = record.asset_materialization if record else None
        if record is None or event is None:
            return {}
        tags |= _input(event.asset_key, (event.tags or {}).get(DATA_VERSION, ""), record.storage_id)
    return tags


def round_inputs(context: dg.AssetExecutionContext, *assets: str) -> dict[str, str]:
    """The tags of a result made from these assets of the same round."""
    records = [newest_record(context.instance, asset, context.partition_key) for asset in assets]
    return input_tags(records, context.run.run_id)


def updates_tags(instance: dg.DagsterInstance, updates: Mapping[str, str]) -> dict[str, str]:
    """The tags of a round manifest made from these updates, by shard; its step has reported some of them itself.

    Dagster looks an input up before the step begins. The version is the CID of the list of the updates.
    """
    key = dg.AssetKey("shard_adapter")
    newest = next(iter(instance.fetch_materializations(key, limit=1).records), None)
    lines = "".join(f"{shard} {cid}\n" for shard, cid in sorted(updates.items()))
    return _input(key, cid_of_bytes(lines.encode()), newest.storage_id) if newest else {}


def _input(key: dg.AssetKey, version: str, storage_id: int) -> dict[str, str]:
    return {get_input_data_version_tag(key): version, get_input_event_pointer_tag(key): str(storage_id)}
