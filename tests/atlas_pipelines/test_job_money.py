"""`atlas job top-up | cancel | close` on a real chain."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from atlas.content.format.cid import cid_of_bytes
from atlas.home import AtlasHome
from atlas_pipelines.cli.main import app
from chain_bridge.client.keys import load_or_create_key
from resources.jobs.registry import JobRegistry, JobRow
from resources.local.parts import LocalParts
from resources.operator_ledger import open_ledger

pytestmark = [pytest.mark.slow, pytest.mark.system]
CID = cid_of_bytes(b"any")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return AtlasHome(tmp_path_factory.mktemp("atlas"))


@pytest.fixture(scope="module")
def addresses(home):
    parts = LocalParts(home, agents=0, threads=1)
    try:
        yield parts.start()
    finally:
        parts.stop()


@pytest.fixture
def atlas(home, addresses, monkeypatch):
    """Run `atlas job …` on the chain."""
    path = home.root / "network.yaml"
    path.write_text(yaml.safe_dump(addresses.model_dump(mode="json")))
    monkeypatch.setenv("ATLAS_HOME", str(home.root))
    monkeypatch.setenv("ATLAS_NETWORK", str(path))
    return lambda *arguments: CliRunner().invoke(app, ["job", *arguments])


@pytest.fixture
def open_job(home, addresses):
    """Open a job of two tasks at 100 each, under a name."""

    def open_it(name: str) -> JobRow:
        operator = load_or_create_key(home.operator_key, "atlas")
        with open_ledger(home, addresses.network, operator) as ledger:
            number = ledger.create_job(
                key=name, spec=CID, dataset=CID, shards=1, rounds=1, reward=100, lease_seconds=60, escrow=200
            )
            row = JobRow(name, CID, CID, CID, CID, ledger.contract, number)
        JobRegistry(home.jobs_database).save_job(row)
        return row

    return open_it


def facts(result) -> dict:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refusal(result) -> str:
    assert result.exit_code == 1, result.stdout
    assert result.stdout == ""
    return result.stderr


def test_a_top_up_is_paid_once_under_its_key(atlas, open_job):
    open_job("topped")
    first = facts(atlas("top-up", "topped", "50", "--key", "k1", "--json"))
    assert (first["state"], first["deposited"]) == ("open", 250)
    again = facts(atlas("top-up", "topped", "50", "--key", "k1", "--json"))
    assert (again["deposited"], again["transaction"]) == (250, first["transaction"])
    assert facts(atlas("top-up", "topped", "50", "--json"))["deposited"] == 300
    assert "k1" in refusal(atlas("top-up", "topped", "51", "--key", "k1"))


def test_a_cancelled_job_gives_its_free_escrow_back_and_is_closed(atlas, open_job):
    row = open_job("unwanted")
    before = facts(atlas("top-up", "unwanted", "1", "--json"))["credit"]
    cancelled = facts(atlas("cancel", "unwanted", "--json"))
    assert (cancelled["job_id"], cancelled["state"], cancelled["refunded"]) == (row.job_id, "cancelled", 201)
    assert cancelled["credit"] == before + 201
    assert refusal(atlas("top-up", "unwanted", "1"))
    assert "is closed" in atlas("close", "unwanted").stdout


def test_an_unknown_job_is_named(atlas):
    for arguments in (["cancel", "nope"], ["close", "nope"], ["top-up", "nope", "1"]):
        assert "'nope'" in refusal(atlas(*arguments))
