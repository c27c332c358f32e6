"""Where a named network answers, and which contract was deployed to it."""

import json
import threading

import pytest

from atlas.home import AtlasHome
from chain_bridge.networks.networks import NetworksFileError, UnknownNetwork
from resources.local.deployments import NotDeployed, bare_network, deployments, named_network, record_deployment

URL = "grpc+http://127.0.0.1:9090"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return AtlasHome(tmp_path / "atlas")


def deployed(home, name, contract, url=None):
    record_deployment(home, name, bare_network(home, name, {}, url).model_copy(update={"contract": contract}))


def test_a_deployment_is_found_by_name_and_replaced_by_a_later_one(home):
    with pytest.raises(NotDeployed, match="atlas chain deploy --network dorado"):
        named_network(home, "dorado", {})
    deployed(home, "osmosis", "osmo1first")
    deployed(home, "dorado", "fetch1first")
    deployed(home, "dorado", "fetch1second")
    assert named_network(home, "dorado", {}).contract == "fetch1second"
    assert named_network(home, "osmosis", {}).contract == "osmo1first"


def test_a_local_node_is_found_where_it_runs_or_else_where_it_was(home, tmp_path):
    with pytest.raises(UnknownNetwork, match="scripts/localnet start"):
        bare_network(home, "local", {})
    deployed(home, "local", "wasm1a", URL)
    assert bare_network(home, "local", {}).url == URL
    running = tmp_path / "atlas-localnet.x"
    running.mkdir()
    found = {"url": "grpc+http://127.0.0.1:1", "chain_id": "atlas-local-wasmd", "key": "k"}
    (running / "localnet.json").write_text(json.dumps(found))
    assert named_network(home, "local", {}).url == "grpc+http://127.0.0.1:1"
    assert named_network(home, "local", {}, URL).url == URL


def test_a_damaged_record_is_told(home):
    deployed(home, "dorado", "fetch1first")
    (home.root / "contracts.json").write_text('{"dorado": {"chain_id": 3}}')
    with pytest.raises(NetworksFileError, match=r"(?s)contracts\.json.*dorado"):
        deployments(home)


def test_records_made_at_once_are_all_kept(home):
    names = ["dorado", "osmosis", "neutron", "local", "embedded"]
    threads = [threading.Thread(target=deployed, args=(home, name, f"{name}1c", URL)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: one.contract for name, one in deployments(home).items()} == {name: f"{name}1c" for name in names}
