"""`atlas job schedule` on the records of a home; no network runs."""

import json

import pytest
from typer.testing import CliRunner

from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas_pipelines.cli.main import app
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
    assert schedule("sentiment").stdout == "sentiment has no schedule.\n"
    done = schedule("sentiment", "--cron", "0 3 * * 1", "--timezone", "Europe/Berlin")
    assert done.stdout == "sentiment: 0 3 * * 1 (Europe/Berlin), off, no monthly budget\n"
    schedule("sentiment", "--on", "--monthly-budget", "20000000")
    assert json.loads(schedule("sentiment", "--json").stdout) == {
        "cron": "0 3 * * 1",
        "timezone": "Europe/Berlin",
        "enabled": True,
        "monthly_budget": 20_000_000,
    }
    assert JobSchedules(home.jobs_database).get("sentiment")[0] == 10_000_000
    assert "off, no monthly budget" in schedule("sentiment", "--off", "--monthly-budget", "0").stdout
    assert schedule("sentiment", "--remove").stdout == "sentiment has no schedule.\n"
    assert JobSchedules(home.jobs_database).all() == {}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["other", "--on"], "No job 'other' was opened here"),
        (["sentiment", "--on"], "has no schedule yet. Give one with --cron"),
        (["sentiment", "--cron", "never"], "schedule.cron: 'never'"),
    ],
)
def test_what_cannot_be_set_is_refused(arguments, said):
    done = schedule(*arguments)
    assert done.exit_code == 1
    assert said in " ".join(done.stderr.split())
