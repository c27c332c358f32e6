"""The op that starts a job, as the jobs of the launchpad run it."""

import dagster as dg
import pytest

from assets import partitions
from assets.launch.job_config import order_as_config
from assets.ops.start import RUN_ROUNDS_TAG, start_op
from assets.recorded.run_tags import JOB_TAG
from resources.jobs.automation import JobAutomation
from resources.jobs.job_lock import job_lock
from resources.jobs.schedules import JobSchedule, JobSchedules
from tests.assets.conftest import failure

SHARDS = [f"paper-s00{number}" for number in range(4)]


@pytest.fixture
def start(workshop):
    """Run a job of the op as the launchpad does: `start(order, run_rounds=False)`."""
    opening = start_op("open_order", None)

    @dg.job(executor_def=dg.in_process_executor)
    def starting():
        opening()

    def run(order, **settings):
        config = {"order": order if isinstance(order, dict) else order_as_config(order), **settings}
        return starting.execute_in_process(
            run_config={"ops": {"open_order": {"config": config}}},
            instance=workshop.instance,
            resources={**workshop.resources, "progress": workshop.observed},
            raise_on_error=False,
        )

    return run


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


def tags_of(workshop, result) -> dict:
    return workshop.instance.get_run_by_id(result.run_id).tags


def test_a_started_job_has_its_partitions_and_its_data(workshop, start, job):
    result = start(job.spec)
    assert result.success, failure(result)
    offered = workshop.instance.get_dynamic_partitions
    assert offered(partitions.JOBS) == ["paper"]
    assert set(offered(partitions.ROUNDS)) == {"paper-r0001", "paper-r0002"}
    assert sorted(offered(partitions.SHARDS)) == SHARDS
    assert (workshop.recorded("dataset"), workshop.recorded("dataset_shard")) == (["paper"], SHARDS)
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    facts = {key: value.value for key, value in output.metadata.items()}
    assert (facts["job_on_chain"], facts["dataset"]) == (job.job_id, job.dataset_cid)
    assert "launches federated_round for paper-r0001 to paper-r0002" in facts["next"]
    tags = tags_of(workshop, result)
    assert (tags[JOB_TAG], tags[RUN_ROUNDS_TAG]) == ("paper", "true")


def test_starting_again_opens_and_records_nothing_twice(workshop, start, job):
    assert start(job.spec).success
    result = start(job.spec, run_rounds=False)
    assert result.success
    assert (workshop.recorded("dataset"), workshop.recorded("dataset_shard")) == (["paper"], SHARDS)
    assert tags_of(workshop, result)[RUN_ROUNDS_TAG] == "false"


def test_a_name_with_another_order_is_refused_and_the_run_is_canceled(workshop, start, job, paper_spec):
    result = start(paper_spec(rounds=5))
    assert not result.success
    assert "'paper'" in failure(result)
    assert workshop.instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.CANCELED
    assert workshop.instance.get_dynamic_partitions(partitions.ROUNDS) == []


def test_an_invalid_order_is_refused_with_the_field_as_by_atlas_run(start, job):
    result = start({**order_as_config(job.spec), "rounds": 0})
    assert "rounds: Input should be greater than 0 (found 0)" in failure(result)


@pytest.mark.parametrize("opened", [False, True], ids=["new", "open"])
def test_the_schedule_is_kept_with_a_new_job_alone(workshop, start, place, paper_spec, opened):
    refused = {"payment": {"budget": 1, "reward_per_task": 1}}  # after the schedule was kept
    order = place.open(paper_spec()).spec if opened else paper_spec(**refused)
    schedule = {"cron": "0 3 * * 1", "timezone": "Europe/Berlin", "enabled": True, "monthly_budget": 5}
    assert start(order, schedule=schedule).success is opened
    found = JobSchedules(place.home.jobs_database).get("paper")
    assert found == (None if opened else (1, JobSchedule(**schedule)))


def test_a_schedule_that_dagster_cannot_run_is_refused_before_anything_is_opened(workshop, start, paper_spec):
    result = start(paper_spec(), schedule={"cron": "now and then"})
    assert "schedule.cron: 'now and then' is not valid" in failure(result)
    assert workshop.instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.CANCELED
    assert workshop.place.registry.jobs() == []


def test_a_job_that_was_cancelled_is_refused(workshop, start, job):
    workshop.place.ledger.cancel_job(job.job_id)
    assert "is cancelled on chain" in failure(start(job.spec))


def test_a_job_that_another_run_works_on_is_refused(workshop, start, job):
    with job_lock("paper", workshop.place.home, "another-run"):
        assert "another-run" in failure(start(job.spec))
    assert start(job.spec).success


def test_the_automation_is_kept_with_a_new_job(workshop, start, place, paper_spec):
    order = paper_spec()
    assert start(order, automation={"on_new_data": True, "after": "reviews"}).success
    kept = workshop.resources["coordinator"].automations.get("paper")
    assert kept == (order.payment.budget, JobAutomation(on_new_data=True, after="reviews"))


def test_an_automation_without_an_event_is_refused_before_anything_is_opened(workshop, start, paper_spec):
    assert "no event is given" in failure(start(paper_spec(), automation={"monthly_budget": 5}))
