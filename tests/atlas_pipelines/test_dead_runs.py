import dagster as dg
import pytest

from assets.fleet_run.run_process import PROCESS_TAG, process_tag
from assets.recorded.run_tags import JOB_TAG
from atlas.home import AtlasHome
from atlas_pipelines.dagster_home import prepare_dagster_home
from atlas_pipelines.dead_runs import fail_dead_runs
from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import unattended_round


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


@pytest.mark.parametrize(("unattended", "continued"), [(True, "true"), (False, "false")])
def test_a_killed_round_is_continued_if_nobody_launched_it_by_hand(tmp_path, unattended, continued):
    with dg.DagsterInstance.from_config(str(prepare_dagster_home(AtlasHome(tmp_path), {}))) as instance:
        run = instance.create_run_for_job(
            defs.resolve_job_def("federated_round"),
            tags=unattended_round("a-r0001").tags if unattended else {},
            status=dg.DagsterRunStatus.STARTED,
        )
        instance.add_run_tags(run.run_id, {PROCESS_TAG: process_tag(run.run_id).rpartition("/")[0] + "/0.0"})
        assert fail_dead_runs(instance) == [run.run_id]
        assert instance.get_run_by_id(run.run_id).tags["dagster/will_retry"] == continued


def test_the_daemon_clears_dead_runs_away(instance):
    start_run(instance, alive=False)
    sensor = defs.resolve_sensor_def("dead_runs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    sensor(dg.build_sensor_context(instance=instance, definitions=defs))
    with_status = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    assert instance.get_runs(with_status) == []
