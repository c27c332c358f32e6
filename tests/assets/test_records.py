"""What Dagster has recorded of many partitions, read page by page."""

import dagster as dg
import pytest

from assets.recorded import records
from assets.recorded.records import DATA_VERSION, newest_records, unless_recorded


def event(partition: str, version: str, asset: str = "shards") -> dg.AssetMaterialization:
    return dg.AssetMaterialization(asset, partition=partition, tags={DATA_VERSION: version})


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        for number in range(5):
            made.report_runless_asset_event(event(f"s{number}", "first"))
        for _ in range(7):
            made.report_runless_asset_event(event("s4", "again"))
        yield made


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_the_newest_record_of_each_partition_is_found_behind_many_of_another(instance, monkeypatch, page):
    monkeypatch.setattr(records, "PAGE", page)
    found = newest_records(instance, "shards", ["s0", "s2", "s4", "s9"])
    versions = {key: record.asset_materialization.tags[DATA_VERSION] for key, record in found.items()}
    assert versions == {"s0": "first", "s2": "first", "s4": "again"}


def test_no_partitions_have_no_records(instance):
    assert newest_records(instance, "shards", []) == {}


def test_only_events_with_a_version_that_is_not_the_newest_are_left(instance):
    events = [
        event("s0", "first"),
        event("s1", "other"),
        event("s4", "first"),
        event("s4", "again"),
        event("s9", "first"),
        event("s0", "first", asset="adapters"),
    ]
    left = [
        (one.asset_key.to_user_string(), one.partition, one.tags[DATA_VERSION])
        for one in unless_recorded(instance, events)
    ]
    assert left == [
        ("shards", "s1", "other"),
        ("shards", "s4", "first"),
        ("shards", "s9", "first"),
        ("adapters", "s0", "first"),
    ]
