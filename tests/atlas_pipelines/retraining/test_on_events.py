"""The sensor that orders jobs again on events: each cause once, within the budget, and never on top of open work."""

import datetime as dt
import re

import dagster as dg
import pytest

from assets.recorded.run_tags import JOB_TAG
from atlas_pipelines.definitions import defs
from atlas_pipelines.jobs import federated_round
from atlas_pipelines.retraining.on_events import automatic_retraining
from resources.coordinator import CoordinatorResource
from resources.jobs.schedules import JobSchedule
from tests.support.pipeline.campaign import BUDGET, NEW_YEAR, Campaign


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield Campaign(instance, CoordinatorResource(atlas_home=str(tmp_path / "atlas")))


@pytest.fixture
def rows(campaign, tmp_path):
    """The source of `b`, which has settled its two rounds."""
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nold,no\n")
    campaign.open("b", path, rounds=2)
    campaign.settle("b-r0001", "b-r0002")
    return path


def write(path, text: str) -> None:
    path.write_text(f"text,label\n{text},no\n")


def test_the_sensor_is_on_and_orders_no_job_whose_file_does_not_ask_for_it(campaign, rows):
    assert automatic_retraining.default_status is dg.DefaultSensorStatus.RUNNING
    assert automatic_retraining.job_name == federated_round.name
    assert "automatic_retraining" in {sensor.name for sensor in defs.sensors}
    write(rows, "new")
    assert campaign.look() == []
    assert campaign.reason == "No job has an automation."


def test_new_data_is_ordered_once_for_each_version(campaign, rows):
    campaign.automate("b", on_new_data=True)
    assert campaign.look() == []
    assert campaign.reason == "b: Nothing has happened since it was last ordered."
    write(rows, "new")
    first, second = campaign.look()
    assert re.fullmatch("b-v[0-9a-f]{8}-r0001", first)
    assert second == first.replace("r0001", "r0002")
    (request, _) = campaign.requests
    assert request.run_key == first
    assert request.run_config["ops"]["base_checkpoint"]["config"]["repeat"] == "b"
    name = campaign.finish_retraining(rows)
    assert request.tags[JOB_TAG] == name
    assert campaign.look() == []
    write(rows, "newer")
    assert campaign.look()[0] not in (first, "b-r0001")


def test_a_source_that_returns_to_an_earlier_version_is_compared_with_the_newest_retraining(campaign, rows):
    campaign.automate("b", on_new_data=True)
    write(rows, "new")
    campaign.look()
    campaign.finish_retraining(rows)
    write(rows, "old")
    assert len(campaign.look()) == 2


def test_a_cause_is_ordered_once_also_when_the_cursor_is_lost_or_the_process_was_killed(campaign, rows):
    campaign.automate("b", on_new_data=True)
    write(rows, "new")
    first = campaign.look()
    campaign.cursor = None  # killed before the runs were launched
    assert campaign.look() == first
    assert campaign.look(now=NEW_YEAR + dt.timedelta(days=40)) == first
    run = campaign.launch(campaign.requests[0].tags[JOB_TAG])
    campaign.cursor = None
    assert campaign.look() == []
    assert "in progress" in campaign.reason
    campaign.instance.report_run_failed(run)  # such as an order that the operator cannot pay
    assert campaign.look() == []
    write(rows, "newer")
    assert len(campaign.look()) == 2


def test_a_source_whose_version_was_not_recorded_counts_as_it_is_found(campaign, tmp_path):
    path = tmp_path / "rows.csv"
    write(path, "old")
    campaign.open("b", path, version=None)
    campaign.settle("b-r0001")
    campaign.automate("b", on_new_data=True)
    assert campaign.look() == []
    write(path, "new")
    assert len(campaign.look()) == 1


def test_a_source_that_fails_does_not_stop_the_others(campaign, rows, tmp_path):
    campaign.open("a", tmp_path / "missing.csv", version="version")
    campaign.settle("a-r0001")
    campaign.automate("a", on_new_data=True)
    campaign.automate("b", on_new_data=True)
    assert campaign.look() == []
    assert "a: Cannot read the dataset" in campaign.reason
    write(rows, "new")
    assert campaign.look()[0].startswith("b-v")


def test_a_job_with_rounds_left_waits_and_so_does_one_whose_retraining_has_rounds_left(campaign, rows):
    campaign.automate("b", on_new_data=True)
    campaign.instance.add_dynamic_partitions("round", ["b-r0003"])
    write(rows, "new")
    assert campaign.look() == []
    assert "b: It has not finished all of its rounds" in campaign.reason
    campaign.settle("b-r0003")
    first = campaign.look()
    assert len(first) == 3
    name = campaign.requests[0].tags[JOB_TAG]
    campaign.open(name, rows, rounds=3)
    campaign.settle(*first[:2])
    write(rows, "newer")
    assert campaign.look() == []
    assert f"Its retraining {name} has rounds left" in campaign.reason
    campaign.settle(first[2])
    assert len(campaign.look()) == 3


def test_a_job_is_ordered_after_another_has_finished_and_once(campaign, rows):
    campaign.open("a", rows)
    campaign.automate("b", after="a")
    assert campaign.look() == []
    campaign.settle("a-r0001")
    assert len(campaign.look()) == 2
    campaign.finish_retraining(rows)
    campaign.settle("a-r0001")  # a repeated round is no other end
    assert campaign.look() == []


def test_a_job_that_waits_for_one_that_was_never_opened_says_so(campaign, rows):
    campaign.automate("b", after="typo")
    assert campaign.look() == []
    assert campaign.reason == "b: The job 'typo', after which it is ordered, was not opened here."


def test_a_retraining_of_the_other_job_counts_as_its_end(campaign, rows):
    campaign.open("a", rows)
    campaign.settle("a-r0001")
    campaign.automate("b", after="a")
    campaign.look()
    campaign.finish_retraining(rows)
    campaign.automate("a", on_new_data=True)
    write(rows, "new")
    assert campaign.look()[0].startswith("a-v")
    campaign.finish_retraining(rows)
    assert campaign.look()[0].startswith("b-v")


def test_the_budget_of_a_month_is_kept_in_the_time_zone_of_the_schedule(campaign, rows):
    campaign.automate("b", on_new_data=True, monthly_budget=BUDGET + 1)
    write(rows, "new")
    assert len(campaign.look()) == 2
    campaign.finish_retraining(rows)
    write(rows, "newer")
    assert campaign.look() == []
    assert "January 2026 have escrowed 100 micro-units; with 100 more they would exceed" in campaign.reason
    campaign.coordinator.schedules.put("b", BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin"))
    assert len(campaign.look()) == 2, "in Berlin it is February"
