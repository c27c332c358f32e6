import datetime as dt
import re

import dagster as dg
import pytest

from assets.ops.start import RUN_ROUNDS_TAG
from assets.recorded.records import DATA_VERSION
from assets.recorded.run_tags import JOB_TAG
from assets.recorded.source_version import source_facts
from atlas.data.fingerprint import source_fingerprint
from atlas.spec.dataset import DatasetSpec
from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import federated_round
from atlas_pipelines.schedules import weekly_retraining
from atlas_pipelines.sensors import new_data, next_round, started_jobs
from resources.coordinator import CoordinatorResource

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


@pytest.fixture
def look(instance, tmp_path):
    """Run the sensor once, with what an earlier look left in the cursor; its requests, and the new cursor."""
    cursor = None

    def tick() -> list[dg.RunRequest]:
        nonlocal cursor
        coordinator = CoordinatorResource(atlas_home=str(tmp_path / "atlas"))
        with dg.build_sensor_context(
            instance=instance, definitions=defs, cursor=cursor, resources={"coordinator": coordinator}
        ) as context:
            found = new_data(context)
            cursor = context.cursor if isinstance(found, dg.SkipReason) else found.cursor
        return [] if isinstance(found, dg.SkipReason) else found.run_requests

    return tick


def opened_with(instance: dg.DagsterInstance, job: str, source: str, version: str | None) -> None:
    """What the opening of a job and the reading of its dataset record."""
    spec = DatasetSpec(source=source, shard_by={"rows": 1})
    base = dg.AssetMaterialization("base_checkpoint", partition=f"{job}-r0001", metadata={"dataset": f"manifest-{job}"})
    read = dg.AssetMaterialization(
        "dataset", partition=job, metadata=source_facts(spec, version), tags={DATA_VERSION: f"manifest-{job}"}
    )
    for event in (base, read):
        instance.report_runless_asset_event(event)


def version_of(path) -> str:
    return source_fingerprint(DatasetSpec(source=str(path), shard_by={"rows": 1}), path.parent / "cache")


@pytest.fixture
def rows(instance, tmp_path):
    """The source of `b`, which has settled its only round."""
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nold,no\n")
    opened_with(instance, "b", str(path), version_of(path))
    settle(instance, "b-r0001")
    return path


def test_new_data_is_looked_for_once_it_is_turned_on():
    assert new_data.default_status is dg.DefaultSensorStatus.STOPPED
    assert new_data.job_name == federated_round.name
    assert "new_data" in {sensor.name for sensor in defs.sensors}


def test_new_data_is_ordered_once_for_each_version(instance, rows, look):
    assert look() == []
    rows.write_text("text,label\nnew,no\n")
    (request,) = look()
    assert request.partition_key == request.run_key
    assert re.fullmatch("b-v[0-9a-f]{8}-r0001", request.partition_key)
    assert request.run_config["ops"]["base_checkpoint"]["config"]["repeat"] == "b"
    assert request.tags[JOB_TAG] == request.partition_key.removesuffix("-r0001")
    assert look() == look() == []
    rows.write_text("text,label\nnewer,no\n")
    (newer,) = look()
    assert newer.partition_key != request.partition_key
    rows.write_text("text,label\nold,no\n")
    assert look() == []


def test_a_change_between_opening_and_the_first_look_is_noticed(rows, look):
    rows.write_text("text,label\nnew,no\n")
    assert len(look()) == 1


def test_a_source_whose_version_was_not_recorded_counts_as_it_is_found(instance, tmp_path, look):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nold,no\n")
    opened_with(instance, "b", str(path), version=None)
    settle(instance, "b-r0001")
    assert look() == []
    path.write_text("text,label\nnew,no\n")
    assert len(look()) == 1


def test_a_source_that_fails_does_not_stop_the_others(instance, rows, look):
    opened_with(instance, "a", str(rows.parent / "missing.csv"), "version")
    settle(instance, "a-r0001", "a-r0002", "a-r0003")
    rows.write_text("text,label\nnew,no\n")
    (request,) = look()
    assert request.partition_key.startswith("b-v")


def test_an_order_for_new_data_is_itself_not_repeated(instance, rows, look):
    rows.write_text("text,label\nnew,no\n")
    (request,) = look()
    name = request.partition_key.removesuffix("-r0001")
    instance.add_dynamic_partitions("job", [name])
    instance.add_dynamic_partitions("round", [request.partition_key])
    opened_with(instance, name, str(rows), version_of(rows))
    settle(instance, request.partition_key)
    rows.write_text("text,label\nnewer,no\n")
    assert [one.partition_key.split("-")[0] for one in look()] == ["b"]
    assert all(one.partition_key.startswith("b-2026") for one in retrainings(instance))
    assert len(retrainings(instance)) == 1


def test_a_job_in_work_waits_for_its_new_data(instance, rows, look):
    instance.add_dynamic_partitions("round", ["b-r0002"])
    rows.write_text("text,label\nnew,no\n")
    assert look() == []
