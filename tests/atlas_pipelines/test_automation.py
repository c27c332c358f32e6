import datetime as dt

import dagster as dg
import pytest

from assets.ops.start import RUN_ROUNDS_TAG
from assets.recorded.run_tags import JOB_TAG
from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import federated_round
from atlas_pipelines.retraining.weekly import weekly_retraining
from atlas_pipelines.sensors import next_round, started_jobs
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import JobAutomation
from resources.jobs.schedules import JobSchedule

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


@pytest.fixture
def coordinator(tmp_path):
    return CoordinatorResource(atlas_home=str(tmp_path / "atlas"))


def retrainings(instance: dg.DagsterInstance, coordinator: CoordinatorResource) -> list[dg.RunRequest]:
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=MONDAY, resources={"coordinator": coordinator}
    ) as context:
        return [tick for tick in weekly_retraining(context) if isinstance(tick, dg.RunRequest)]


def test_every_job_goes_on_with_its_next_round(instance):
    settle(instance, "a-r0001", "b-r0001")
    (request,) = open_rounds(instance)
    assert (request.partition_key, request.run_key) == ("a-r0002", "a-r0002")
    assert request.tags[JOB_TAG] == "a"


@pytest.mark.parametrize(
    "tags",
    [
        {JOB_TAG: "a"},
        {"dagster/partition": "a-r0001"},
        {
            "dagster/partition": "a-r0001|a-s000",
            "dagster/partition/round": "a-r0001",
            "dagster/partition/shard": "a-s000",
        },
    ],
    ids=["the job's tag", "the partition alone", "a shard alone"],
)
def test_a_job_with_a_round_in_work_waits(instance, tags):
    instance.create_run_for_job(defs.resolve_job_def("federated_round"), tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert [request.partition_key for request in open_rounds(instance)] == ["b-r0001"]


def test_reading_a_dataset_keeps_no_round_waiting(instance):
    instance.create_run_for_job(
        defs.resolve_job_def("prepare_dataset"), tags={"dagster/partition": "a"}, status=dg.DagsterRunStatus.STARTED
    )
    assert len(open_rounds(instance)) == 2


def test_when_all_is_settled_nothing_starts(instance):
    settle(instance, "a-r0001", "a-r0002", "a-r0003", "b-r0001")
    assert open_rounds(instance) == []


def start_job(
    instance: dg.DagsterInstance, name: str, run_rounds: str = "true", status=dg.DagsterRunStatus.SUCCESS
) -> str:
    """The run of `start_job` that opened a job; returns its id."""
    tags = {JOB_TAG: name, RUN_ROUNDS_TAG: run_rounds}
    return instance.create_run_for_job(defs.resolve_job_def("start_job"), tags=tags, status=status).run_id


def started_rounds(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    result = started_jobs(dg.build_sensor_context(instance=instance, definitions=defs))
    return [] if isinstance(result, dg.SkipReason) else result.run_requests


def test_a_started_job_goes_on_round_by_round(instance):
    run = start_job(instance, "a")
    (request,) = started_rounds(instance)
    assert (request.partition_key, request.run_key, request.tags[JOB_TAG]) == ("a-r0001", f"{run}/a-r0001", "a")
    settle(instance, "a-r0001")
    assert [one.partition_key for one in started_rounds(instance)] == ["a-r0002"]
    settle(instance, "a-r0002", "a-r0003")
    assert started_rounds(instance) == []


@pytest.mark.parametrize(
    "started", [{"run_rounds": "false"}, {"status": dg.DagsterRunStatus.CANCELED}], ids=["not wanted", "refused"]
)
def test_a_job_whose_rounds_are_not_to_run_waits(instance, started):
    start_job(instance, "a", **started)
    assert started_rounds(instance) == []


def test_a_started_job_with_a_round_in_work_waits(instance):
    start_job(instance, "a")
    start_job(instance, "b")
    federated = defs.resolve_job_def("federated_round")
    instance.create_run_for_job(federated, tags={JOB_TAG: "a"}, status=dg.DagsterRunStatus.STARTED)
    assert [one.partition_key for one in started_rounds(instance)] == ["b-r0001"]


def test_a_job_that_is_started_again_asks_again_for_the_round_that_failed(instance):
    start_job(instance, "a")
    (first,) = started_rounds(instance)
    again = start_job(instance, "a")
    (second,) = started_rounds(instance)
    assert (second.partition_key, second.run_key) == (first.partition_key, f"{again}/a-r0001")


def test_a_finished_job_is_ordered_once_more_on_mondays(instance, coordinator):
    settle(instance, "a-r0001", "b-r0001")
    (request,) = retrainings(instance, coordinator)
    assert request.partition_key == "b-20260105-r0001"
    assert request.partition_key in instance.get_dynamic_partitions("round")
    assert (
        request.run_config == {"ops": {"base_checkpoint": {"config": {"repeat": "b"}}}}
        or request.run_config["ops"]["base_checkpoint"]["config"]["repeat"] == "b"
    )
    assert request.tags[JOB_TAG] == "b-20260105"


def test_a_retraining_has_as_many_rounds_as_its_job(instance, coordinator):
    settle(instance, "a-r0001", "a-r0002", "a-r0003")
    assert [request.partition_key for request in retrainings(instance, coordinator)] == [
        "a-20260105-r0001",
        "a-20260105-r0002",
        "a-20260105-r0003",
    ]


def test_before_any_job_has_finished_nothing_is_trained_again(instance, coordinator):
    settle(instance, "a-r0001")
    assert retrainings(instance, coordinator) == []
    assert federated_round.name == next_round.job_name == weekly_retraining.job_name


def test_a_job_that_has_its_own_schedule_or_automation_is_not_ordered_weekly(instance, coordinator):
    settle(instance, "a-r0001", "a-r0002", "a-r0003", "b-r0001")
    coordinator.schedules.put("a", 1, JobSchedule(cron="0 3 * * 1"))
    assert {one.tags[JOB_TAG] for one in retrainings(instance, coordinator)} == {"b-20260105"}
    coordinator.automations.put("b", 1, JobAutomation(on_new_data=True))
    assert retrainings(instance, coordinator) == []


def test_a_retraining_is_not_ordered_weekly(instance, coordinator):
    instance.add_dynamic_partitions("job", ["b-v0c1d2e3f"])
    instance.add_dynamic_partitions("round", ["b-v0c1d2e3f-r0001"])
    settle(instance, "b-r0001", "b-v0c1d2e3f-r0001")
    assert [one.partition_key for one in retrainings(instance, coordinator)] == ["b-20260105-r0001"]
