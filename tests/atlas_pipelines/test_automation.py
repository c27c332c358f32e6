import datetime as dt

import dagster as dg
import pytest

from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import JOB_TAG, federated_round
from atlas_pipelines.schedules import weekly_retraining
from atlas_pipelines.sensors import next_round

MONDAY = dt.datetime(2026, 1, 5, 3, tzinfo=dt.UTC)


@pytest.fixture
def instance(tmp_path):
    """An instance that knows of the job `a` with three rounds and `b` with one."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("job", ["a", "b"])
        instance.add_dynamic_partitions("round", ["a-r0001", "a-r0002", "a-r0003", "b-r0001"])
        yield instance


def settle(instance: dg.DagsterInstance, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization("reward_settlement", partition=key))


def open_rounds(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    result = next_round(dg.build_sensor_context(instance=instance, definitions=defs))
    return [] if isinstance(result, dg.SkipReason) else result.run_requests


def retrainings(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    ticks = weekly_retraining(dg.build_schedule_context(instance=instance, scheduled_execution_time=MONDAY))
    return [tick for tick in ticks if isinstance(tick, dg.RunRequest)]


def test_every_job_goes_on_with_its_next_round(instance):
    settle(instance, "a-r0001", "b-r0001")
    (request,) = open_rounds(instance)
    assert (request.partition_key, request.run_key) == ("a-r0002", "a-r0002")
    assert request.tags[JOB_TAG] == "a"


def test_a_job_with_a_round_in_work_waits(instance):
    instance.create_run_for_job(
        defs.resolve_job_def("federated_round"), tags={JOB_TAG: "a"}, status=dg.DagsterRunStatus.STARTED
    )
    assert [request.partition_key for request in open_rounds(instance)] == ["b-r0001"]


def test_when_all_is_settled_nothing_starts(instance):
    settle(instance, "a-r0001", "a-r0002", "a-r0003", "b-r0001")
    assert open_rounds(instance) == []


def test_a_finished_job_is_ordered_once_more_on_mondays(instance):
    settle(instance, "a-r0001", "b-r0001")
    (request,) = retrainings(instance)
    assert request.partition_key == "b-20260105-r0001"
    assert request.partition_key in instance.get_dynamic_partitions("round")
    assert (
        request.run_config == {"ops": {"base_checkpoint": {"config": {"repeat": "b"}}}}
        or request.run_config["ops"]["base_checkpoint"]["config"]["repeat"] == "b"
    )
    assert request.tags[JOB_TAG] == "b-20260105"


def test_a_retraining_has_as_many_rounds_as_its_job(instance):
    settle(instance, "a-r0001", "a-r0002", "a-r0003")
    assert [request.partition_key for request in retrainings(instance)] == [
        "a-20260105-r0001",
        "a-20260105-r0002",
        "a-20260105-r0003",
    ]


def test_before_any_job_has_finished_nothing_is_trained_again(instance):
    settle(instance, "a-r0001")
    assert retrainings(instance) == []
    assert federated_round.name == next_round.job_name == weekly_retraining.job_name
