"""The events on which jobs are ordered again, and the record of retrainings, in the coordinator's file."""

import pytest

from atlas.errors import SpecError
from resources.jobs.automation import JobAutomation, JobAutomations
from resources.jobs.retrainings import Retraining, Retrainings
from resources.jobs.schedules import JobSchedule, JobSchedules


@pytest.fixture
def kept(tmp_path):
    return JobAutomations(tmp_path / "coordinator.db")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "no event is given"),
        ({"on_new_data": False, "monthly_budget": 5}, "no event is given"),
        ({"after": "-bad"}, "after"),
        ({"on_new_data": True, "monthly_budget": 0}, "monthly_budget"),
        ({"on_new_dat": True}, "on_new_dat: .*on_new_data"),
        (True, "valid"),
    ],
)
def test_a_bad_automation_is_refused_by_its_field(value, named):
    with pytest.raises(SpecError, match=named):
        JobAutomation.from_value(value)


def test_an_automation_is_kept_beside_the_schedule(kept, tmp_path):
    schedules = JobSchedules(tmp_path / "coordinator.db")
    schedules.put("a", 10, JobSchedule(cron="0 4 * * *"))
    kept.put("a", 10, JobAutomation(on_new_data=True))
    assert JobAutomations(tmp_path / "coordinator.db").get("a") == (10, JobAutomation(on_new_data=True))
    kept.put("a", 10, None)
    assert kept.all() == {}
    assert list(schedules.all()) == ["a"]


def test_jobs_that_would_order_each_other_forever_are_refused(kept):
    with pytest.raises(SpecError, match="a after a would"):
        kept.put("a", 1, JobAutomation(after="a"))
    kept.put("a", 1, JobAutomation(after="b"))
    kept.put("b", 1, JobAutomation(after="c", on_new_data=True))
    with pytest.raises(SpecError, match="c after a after b after c would"):
        kept.put("c", 1, JobAutomation(after="a"))
    kept.put("c", 1, JobAutomation(on_new_base="a"))
    assert list(kept.all()) == ["a", "b", "c"]


def test_a_retraining_is_recorded_once_and_only_within_the_budget_of_its_month(tmp_path):
    recorded = Retrainings(tmp_path / "coordinator.db")
    assert recorded.of("a") == []
    first = Retraining("a-2", "a", ["one", "two"], "202601", 100)
    assert recorded.record(first, limit=150) is None
    assert recorded.record(Retraining("a-1", "a", ["three"], "202601", 100), limit=150) == 100
    assert recorded.record(first, limit=50) is None, "it is ordered already"
    later = Retraining("a-1", "a", ["three"], "202602", 100)
    assert recorded.record(later, limit=150) is None
    assert recorded.record(Retraining("b-1", "b", [], "202601", 100), limit=100) is None
    assert Retrainings(tmp_path / "coordinator.db").of("a") == [first, later]
