"""A real chain for the commands that change it: one per file of tests that asks for it."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from atlas.content.format.cid import cid_of_bytes
from atlas.home import AtlasHome
from atlas_pipelines.cli.main import app
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.networks.faucet import send_coins
from resources.jobs.registry import JobRegistry, JobRow
from resources.local.parts import LocalParts
from resources.operator_ledger import open_ledger

CID = cid_of_bytes(b"any")


@pytest.fixture(scope="module")
def chain_home(tmp_path_factory):
    return AtlasHome(tmp_path_factory.mktemp("atlas"))


@pytest.fixture(scope="module")
def chain_addresses(chain_home):
    parts = LocalParts(chain_home, agents=0, threads=1)
    try:
        yield parts.start()
    finally:
        parts.stop()


@pytest.fixture
def atlas_on_chain(chain_home, chain_addresses, monkeypatch):
    """Run `atlas …` on the chain."""
    path = chain_home.root / "network.yaml"
    path.write_text(yaml.safe_dump(chain_addresses.model_dump(mode="json")))
    monkeypatch.setenv("ATLAS_HOME", str(chain_home.root))
    monkeypatch.setenv("ATLAS_NETWORK", str(path))
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def operator_ledger(chain_home, chain_addresses):
    """The contract, opened with the operator's key."""
    operator = load_or_create_key(chain_home.operator_key, "atlas")
    with open_ledger(chain_home, chain_addresses.network, operator) as ledger:
        yield ledger


@pytest.fixture
def open_job(chain_home, operator_ledger):
    """Open a job of two tasks at 100 each, under a name."""

    def open_it(name: str, lease_seconds: int = 60) -> JobRow:
        number = operator_ledger.create_job(
            key=name, spec=CID, dataset=CID, shards=1, rounds=1, reward=100, lease_seconds=lease_seconds, escrow=200
        )
        row = JobRow(name, CID, CID, CID, CID, operator_ledger.contract, number)
        JobRegistry(chain_home.jobs_database).save_job(row)
        return row

    return open_it


@pytest.fixture
def node_on_chain(chain_home, chain_addresses):
    """The id of a registered node, with a fresh heartbeat."""
    key = load_or_create_key(chain_home.root / "worker.key", "atlas")
    send_coins(chain_addresses.network, load_or_create_key(chain_home.operator_key, "atlas"), {key.address: 1})
    with Ledger(chain_addresses.network, key) as ledger:
        known = ledger.node_of(key.address)
        if known is None:
            return ledger.register_node("compute", 8, CID)
        ledger.heartbeat()
        return known.id


@pytest.fixture(scope="session")
def facts():
    """What a command that succeeded printed as JSON."""

    def read(result):
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return read


@pytest.fixture(scope="session")
def refusal():
    """The error of a command that failed."""

    def read(result) -> str:
        assert result.exit_code == 1, result.stdout
        assert result.stdout == ""
        return result.stderr

    return read
