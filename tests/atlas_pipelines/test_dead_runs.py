import dagster as dg
import pytest

from assets.fleet_run.run_process import PROCESS_TAG, process_tag
from atlas_pipelines.dead_runs import JobAtWork, fail_dead_runs, refuse_second_run
from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import JOB_TAG


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def start_run(instance: dg.DagsterInstance, alive: bool) -> str:
    run = instance.create_run_for_job(
        defs.resolve_job_def("federated_round"), tags={JOB_TAG: "a"}, status=dg.DagsterRunStatus.STARTED
    )
    tag = process_tag(run.run_id)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: tag if alive else tag.rpartition("/")[0] + "/0.0"})
    return run.run_id


def test_a_run_whose_process_is_gone_has_failed(instance):
    dead = start_run(instance, alive=False)
    alive = start_run(instance, alive=True)
    assert fail_dead_runs(instance) == [dead]
    assert instance.get_run_by_id(dead).status is dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive).status is dg.DagsterRunStatus.STARTED
    assert fail_dead_runs(instance) == []


def test_a_live_run_keeps_a_second_one_of_its_job_out(instance):
    run = start_run(instance, alive=True)
    refuse_second_run(instance, "b")
    with pytest.raises(JobAtWork, match=run):
        refuse_second_run(instance, "a")


def test_the_daemon_clears_dead_runs_away(instance):
    start_run(instance, alive=False)
    sensor = defs.resolve_sensor_def("dead_runs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    sensor(dg.build_sensor_context(instance=instance, definitions=defs))
    with_status = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    assert instance.get_runs(with_status) == []
