"""The asset of one order in another team's project."""

import dagster as dg
import pytest

from assets import partitions
from assets.launch.order import JobFile
from assets.ops.start import RUN_ROUNDS_TAG
from assets.recorded.run_tags import JOB_TAG
from assets.started_job import started_job
from resources.jobs.automation import RetrainingRules
from resources.jobs.schedules import JobSchedule
from tests.assets.conftest import failure

KEY = dg.AssetKey(["started_job", "paper"])


@pytest.fixture
def start(workshop):
    def run(order, schedule=None, run_rounds=True):
        return dg.materialize(
            [started_job(JobFile(order, RetrainingRules(schedule)), [dg.AssetKey("reviews")], run_rounds)],
            instance=workshop.instance,
            resources={**workshop.resources, "progress": workshop.observed},
            raise_on_error=False,
        )

    return run


@pytest.mark.parametrize("run_rounds", [True, False])
def test_it_opens_the_job_and_tags_its_run_for_the_sensor(workshop, start, place, paper_spec, run_rounds):
    job = place.open(paper_spec())
    result = start(job.spec, run_rounds=run_rounds)
    assert result.success, failure(result)
    assert set(workshop.instance.get_dynamic_partitions(partitions.ROUNDS)) == {"paper-r0001", "paper-r0002"}
    assert workshop.recorded("dataset") == ["paper"]
    tags = workshop.instance.get_run_by_id(result.run_id).tags
    assert (tags[JOB_TAG], tags[RUN_ROUNDS_TAG]) == ("paper", str(run_rounds).lower())
    event = workshop.instance.get_latest_materialization_event(KEY).asset_materialization
    assert event.tags["dagster/data_version"] == job.dataset_cid
    assert event.metadata["job_on_chain"].value == job.job_id


def test_the_schedule_of_the_jobs_file_is_kept(workshop, start, paper_spec, place):
    schedule = JobSchedule(cron="0 3 * * 1")
    assert start(paper_spec(), schedule).success
    assert workshop.resources["coordinator"].schedules.get("paper")[1] == schedule


def test_another_order_under_the_name_is_refused(workshop, start, place, paper_spec):
    place.open(paper_spec())
    assert "'paper'" in failure(start(paper_spec(rounds=5)))
