"""When the report of a job is made again, by Dagster's declarative automation."""

import dagster as dg
import pytest

from assets.recorded.new_settlements import settled_jobs
from atlas_pipelines.definitions import defs

REPORT = dg.AssetKey("job_report")


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("job", ["a", "b"])
        instance.add_dynamic_partitions("round", ["a-r0001", "a-r0002", "b-r0001"])
        yield instance


@pytest.fixture
def look(instance):
    """The jobs whose report one tick of the sensor requests."""
    cursor = None

    def tick() -> set[str]:
        nonlocal cursor
        found = dg.evaluate_automation_conditions(
            defs, instance, asset_selection=dg.AssetSelection.assets(REPORT), cursor=cursor
        )
        cursor = found.cursor
        return found.get_requested_partitions(REPORT)

    return tick


def report(instance: dg.DagsterInstance, asset: str, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))


def test_a_report_is_made_once_for_the_rounds_that_were_settled_since_the_last_look(instance, look):
    report(instance, "reward_settlement", "b-r0001")
    assert look() == set(), "what was settled before it was turned on is left as it is"
    report(instance, "reward_settlement", "a-r0001")
    assert look() == {"a"}
    assert look() == set()
    report(instance, "reward_settlement", "a-r0002", "b-r0001")
    assert look() == {"a", "b"}
    report(instance, "evaluation", "a-r0001")
    assert look() == set()


def test_other_assets_and_keys_that_somebody_typed_in_give_no_report(instance, look):
    look()
    report(instance, "evaluation", "a-r0001")
    report(instance, "reward_settlement", "whatever")
    assert look() == set()
    assert settled_jobs(instance, since=0) == set()


def test_a_report_in_progress_is_not_made_twice(instance, look):
    look()
    instance.create_run_for_job(
        defs.resolve_implicit_global_asset_job_def(),
        tags={"dagster/partition": "a"},
        asset_selection={REPORT},
        status=dg.DagsterRunStatus.STARTED,
    )
    report(instance, "reward_settlement", "a-r0001", "b-r0001")
    assert look() == {"b"}


def test_the_sensor_requests_the_report_of_the_settled_job(instance):
    sensor, cursor, requested = defs.resolve_sensor_def("report_settled_jobs"), None, []
    for _ in range(2):
        with dg.build_sensor_context(
            instance=instance, repository_def=defs.get_repository_def(), cursor=cursor
        ) as context:
            tick = sensor.evaluate_tick(context)
        cursor = tick.cursor
        requested.append([(one.asset_selection, one.partition_key) for one in tick.run_requests])
        report(instance, "reward_settlement", "a-r0001")
    assert requested == [[], [([REPORT], "a")]]
