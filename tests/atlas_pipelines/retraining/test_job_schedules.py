"""A job's own schedule: when it orders the job again, and when it does not."""

import datetime as dt
import os
import subprocess
import sys
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from atlas_pipelines.jobs import federated_round
from atlas_pipelines.reloading import ScheduleWatch
from atlas_pipelines.retraining.job_schedules import job_schedules
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import JobAutomation
from resources.jobs.retrainings import Retraining
from resources.jobs.schedules import JobSchedule, JobSchedules
from tests.support.paths import REPOSITORY

BERLIN = ZoneInfo("Europe/Berlin")
BUDGET = 100
NAMES = "import atlas_pipelines.definitions as d; print(sorted(one.name for one in d.defs.schedules))"


@pytest.fixture
def kept(tmp_path):
    return JobSchedules(tmp_path / "coordinator.db")


@pytest.fixture
def coordinator(tmp_path):
    return CoordinatorResource(atlas_home=str(tmp_path))


@pytest.fixture
def tick(coordinator, instance):
    """What the only schedule does at a moment: run requests, or the reason to skip."""

    def at_moment(moment):
        (schedule,) = job_schedules(coordinator)
        found = list(schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=moment)))
        skipped = [one.skip_message for one in found if isinstance(one, dg.SkipReason)]
        return skipped[0] if skipped else found

    return at_moment


@pytest.fixture
def instance(tmp_path):
    """An instance in which `a-b` has settled its two rounds."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("job", ["a-b"])
        instance.add_dynamic_partitions("round", ["a-b-r0001", "a-b-r0002"])
        settle(instance, "a-b-r0001", "a-b-r0002")
        yield instance


def settle(instance, *keys):
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization("reward_settlement", partition=key))


def at(day, month=1, hour=3):
    return dt.datetime(2026, month, day, hour, tzinfo=BERLIN)


@pytest.mark.parametrize("enabled", [True, False])
def test_each_job_with_a_schedule_has_its_own_and_it_is_on_if_the_job_says_so(kept, coordinator, enabled):
    assert job_schedules(coordinator) == []
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin", enabled=enabled))
    (schedule,) = job_schedules(coordinator)
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "retrain_a_b",
        "0 3 * * 1",
        "Europe/Berlin",
    )
    assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) is enabled
    assert schedule.job_name == federated_round.name


def test_a_finished_job_is_ordered_again_under_the_local_time(kept, instance, tick):
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin"))
    found = tick(at(5).astimezone(dt.UTC))
    assert [one.partition_key for one in found] == ["a-b-202601050300-r0001", "a-b-202601050300-r0002"]
    assert {one.tags["atlas/job"] for one in found} == {"a-b-202601050300"}
    assert found[0].run_config["ops"]["base_checkpoint"]["config"]["repeat"] == "a-b"
    assert set(instance.get_dynamic_partitions("round")) >= {one.partition_key for one in found}


def test_an_unfinished_job_is_not_ordered_again(kept, instance, tick):
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1"))
    instance.add_dynamic_partitions("round", ["a-b-r0003"])
    assert tick(at(5)) == "Job a-b has not finished all of its rounds, or is archived."


def test_the_budget_of_a_month_is_kept_and_the_next_month_has_its_own(kept, instance, tick):
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin", monthly_budget=2 * BUDGET + 1))
    assert len(tick(at(5))) == 2
    assert len(tick(at(12))) == 2
    assert len(tick(at(12))) == 2, "a tick that is evaluated again is the same order"
    refusal = tick(at(19))
    assert "January 2026 have escrowed 200 micro-units; with 100 more" in refusal
    assert "monthly budget of 201" in refusal
    assert "a-b-202601190300-r0001" not in instance.get_dynamic_partitions("round")
    assert len(tick(at(1, month=2, hour=0))) == 2, "in Berlin it is February"


def test_schedule_and_automation_share_the_budget_of_a_month_and_the_lower_limit_applies(kept, coordinator, tick):
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin", monthly_budget=3 * BUDGET))
    coordinator.automations.put("a-b", BUDGET, JobAutomation(on_new_data=True, monthly_budget=2 * BUDGET))
    coordinator.retrainings.record(Retraining("a-b-v0c1d2e3f", "a-b", ["data x after a-b"], "202601", BUDGET))
    assert len(tick(at(5))) == 2
    assert "have escrowed 200 micro-units; with 100 more they would exceed the monthly budget of 200" in tick(at(12))


def test_jobs_whose_names_begin_alike_have_budgets_of_their_own(kept, coordinator, instance, tick):
    first, second = f"{'x' * 47}a", f"{'x' * 47}b"
    coordinator.retrainings.record(Retraining("x-202601050300", first, [], "202601", BUDGET))
    instance.add_dynamic_partitions("job", [second])
    instance.add_dynamic_partitions("round", [f"{second}-r0001"])
    settle(instance, f"{second}-r0001")
    kept.put(second, BUDGET, JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin", monthly_budget=BUDGET))
    assert len(tick(at(5))) == 1


def test_the_definitions_have_the_schedules_of_their_home(kept, tmp_path):
    kept.put("a-b", BUDGET, JobSchedule(cron="0 3 * * 1"))
    environment = {**os.environ, "ATLAS_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['retrain_a_b', 'weekly_retraining']", done.stderr


def test_a_changed_schedule_reloads_the_definitions_once_and_a_failed_reload_is_repeated(kept):
    now, reloads, broken = [0.0], [], [True]

    def reload():
        reloads.append(now[0])
        if broken[0]:
            raise ConnectionRefusedError

    watch = ScheduleWatch(kept, reload, clock=lambda: now[0])

    def look(seconds):
        now[0] = seconds
        watch.look()

    look(6)
    kept.put("a", BUDGET, JobSchedule(cron="0 3 * * 1"))
    look(7)
    assert reloads == []
    look(12)
    broken[0] = False
    look(18)
    look(24)
    kept.put("a", BUDGET, JobSchedule(cron="0 4 * * 1"))
    look(30)
    assert reloads == [12, 18, 30]
