"""`atlas job schedule` on the records of a home; no network runs."""

import json

import pytest
from typer.testing import CliRunner

from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas_pipelines.cli.main import app
from resources.jobs.automation import JobAutomation, JobAutomations
from resources.jobs.registry import JobRegistry, JobRow
from resources.jobs.schedules import JobSchedules
from tests.support.paths import REPOSITORY


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in which the shipped example was opened."""
    home = AtlasHome(tmp_path)
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    cid = put_document(LocalStore(home.content), JobSpec.load(REPOSITORY / "examples" / "sentiment.yaml"))
    JobRegistry(home.jobs_database).save_job(JobRow("sentiment", cid, cid, cid, cid, "contract", 1))
    return home


def schedule(*arguments):
    return CliRunner().invoke(app, ["job", "schedule", *arguments])


def test_a_schedule_is_set_shown_changed_and_removed(home):
    assert schedule("sentiment").stdout == "sentiment has no schedule and no automation.\n"
    done = schedule("sentiment", "--cron", "0 3 * * 1", "--timezone", "Europe/Berlin")
    assert done.stdout == "sentiment: 0 3 * * 1 (Europe/Berlin), off, no monthly budget\n"
    schedule("sentiment", "--on", "--monthly-budget", "20000000")
    assert json.loads(schedule("sentiment", "--json").stdout) == {
        "schedule": {
            "cron": "0 3 * * 1",
            "timezone": "Europe/Berlin",
            "enabled": True,
            "monthly_budget": 20_000_000,
        },
        "automation": None,
    }
    assert JobSchedules(home.jobs_database).get("sentiment")[0] == 10_000_000
    assert "off, no monthly budget" in schedule("sentiment", "--off", "--monthly-budget", "0").stdout
    assert schedule("sentiment", "--remove").stdout == "sentiment has no schedule and no automation.\n"
    assert JobSchedules(home.jobs_database).all() == {}


def test_an_automation_is_set_changed_and_removed(home):
    done = schedule("sentiment", "--on-new-data", "--after", "first", "--monthly-budget", "20000000")
    assert done.stdout == "sentiment: on new data, after first, at most 20,000,000 micro-units a month\n"
    assert JobAutomations(home.jobs_database).get("sentiment") == (
        10_000_000,
        JobAutomation(on_new_data=True, after="first", monthly_budget=20_000_000),
    )
    assert "sentiment: after first, at most" in schedule("sentiment", "--no-new-data").stdout
    assert "when a model of first is promoted" in schedule("sentiment", "--on-new-base", "first").stdout
    schedule("sentiment", "--cron", "0 3 * * 1", "--monthly-budget", "5")
    found = json.loads(schedule("sentiment", "--json").stdout)
    assert [one["monthly_budget"] for one in found.values()] == [5, 5], "they share it"
    schedule("sentiment", "--after", "", "--on-new-base", "")
    assert JobAutomations(home.jobs_database).all() == {}, "without an event, there is none"
    schedule("sentiment", "--on-new-data")
    assert schedule("sentiment", "--remove").stdout == "sentiment has no schedule and no automation.\n"
    assert JobAutomations(home.jobs_database).all() == {}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["other", "--on"], "No job 'other' was opened here"),
        (["sentiment", "--on"], "has no schedule yet. Give one with --cron"),
        (["sentiment", "--cron", "never"], "schedule.cron: 'never'"),
        (["sentiment", "--monthly-budget", "5"], "is not ordered again. Say when"),
        (["sentiment", "--after", "Other Job"], "after: String should match"),
        (["sentiment", "--after", "sentiment"], "sentiment after sentiment would order these jobs again and again"),
    ],
)
def test_what_cannot_be_set_is_refused(arguments, said):
    done = schedule(*arguments)
    assert done.exit_code == 1
    assert said in " ".join(done.stderr.split())
