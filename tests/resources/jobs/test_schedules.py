"""When jobs are ordered again, in the coordinator's file."""

import sqlite3

import pytest

from atlas.errors import SpecError
from resources.jobs.registry import JobRegistry
from resources.jobs.schedules import JobSchedule, JobSchedules

WEEKLY = JobSchedule(cron="0 3 * * 1", timezone="Europe/Berlin", enabled=True, monthly_budget=5)


def test_a_schedule_is_off_in_utc_and_without_a_limit_unless_it_says_otherwise():
    assert JobSchedule(cron="0 3 * * 1").model_dump() == {
        "cron": "0 3 * * 1",
        "timezone": "UTC",
        "enabled": False,
        "monthly_budget": None,
    }


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"cron": "every monday"}, "schedule.cron: 'every monday'"),
        ({"cron": "61 3 * * 1"}, "schedule.cron: '61 3"),
        ({"cron": "0 3 * * 1", "timezone": "Mars/Base"}, "schedule.timezone: 'Mars/Base'"),
        ({"cron": "0 3 * * 1", "monthly_budget": 0}, "monthly_budget"),
        ({"cron": "0 3 * * 1", "enable": True}, "enable: .*enabled"),
        ({}, "cron"),
        ("weekly", "valid"),
    ],
)
def test_a_bad_schedule_is_refused_by_its_field(value, named):
    with pytest.raises(SpecError, match=named):
        JobSchedule.from_value(value)


def test_a_schedule_is_kept_changed_and_removed(tmp_path):
    kept = JobSchedules(tmp_path / "coordinator.db")
    assert kept.all() == {}
    assert not (tmp_path / "coordinator.db").exists()
    kept.put("b", 10, WEEKLY)
    kept.put("a", 20, JobSchedule(cron="0 4 * * *"))
    again = JobSchedules(tmp_path / "coordinator.db")
    assert list(again.all()) == ["a", "b"]
    assert again.get("b") == (10, WEEKLY)
    kept.put("b", 30, WEEKLY.model_copy(update={"enabled": False}))
    assert again.get("b")[0] == 30
    kept.put("b", 30, None)
    assert again.get("b") is None


def test_a_file_of_an_earlier_version_gets_the_table(tmp_path):
    path = tmp_path / "coordinator.db"
    JobRegistry(path).record_own_work("x", "y")
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    database.close()
    assert "schedules" not in tables
    assert JobSchedules(path).all() == {}
    assert JobRegistry(path).own_work("x") == "y"
