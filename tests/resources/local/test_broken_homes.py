"""A home on a disk that cannot be written: what is asked for first names the file."""

import subprocess

import pytest

from atlas.content.local.store import LocalStore
from atlas.errors import AtlasError
from atlas.home import AtlasHome
from atlas_pipelines.cli.logs import log_to_file
from atlas_pipelines.dagster_home import prepare_dagster_home
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.embedded.chain import Chain, Settings
from node_agent.home.config import NodeHome
from node_agent.home.lock import only_agent
from resources.local.contract import record_embedded_contract
from resources.local.network import ensure_local_network


@pytest.fixture
def home(tmp_path):
    place = tmp_path / "read-only"
    place.mkdir()
    command = ["mount", "-o", "ro", "-t", "tmpfs", "tmpfs", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes more rights than this user has")
    yield AtlasHome(place)
    subprocess.run(["umount", "-l", place], check=True)


def use_network(home):
    with ensure_local_network(home, agents=1):
        pass


def use_node(home):
    with only_agent(NodeHome(home.root / "node")):
        pass


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (use_network, "network.lock"),
        (use_node, "node/agent.lock"),
        (lambda home: Chain(home.chain, Settings("c")), "chain"),
        (lambda home: load_or_create_key(home.operator_key, "atlas"), "keys/operator.key"),
        (lambda home: record_embedded_contract(home, "atlas1"), "chain/contract.json"),
        (lambda home: LocalStore(home.content).put(b"x"), "content"),
        (lambda home: log_to_file(home.logs / "atlas.log"), "logs/atlas.log"),
        (lambda home: prepare_dagster_home(home, {}), "dagster/dagster.yaml"),
    ],
)
def test_a_read_only_home_is_named_with_the_file_that_is_wanted(home, use, name):
    with pytest.raises(AtlasError) as caught:
        use(home)
    assert str(home.root / name) in str(caught.value)
    assert "Read-only file system" in str(caught.value)
