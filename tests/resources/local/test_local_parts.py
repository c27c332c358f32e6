"""What local agents are told: their share of the IPFS nodes, and the settings that a person gives each."""

import textwrap

import pytest

from atlas.content.places.open import IpfsPlaces
from atlas.errors import SpecError
from atlas.home import AtlasHome
from node_agent.home.config import NodeHome, load_config
from resources.errors import LocalNetworkError
from resources.local.ipfs import LocalIpfs, local_ipfs
from resources.local.network import ensure_local_network, running_network
from resources.local.node_file import read_node_file

A, B, C = (f"http://127.0.0.1:500{number}" for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("nodes", "replicas", "shares"),
    [
        ([A], 1, [[A], [A], [A]]),
        ([A, B], 1, [[A], [B], [B]]),
        ([A, B, C], 1, [[A], [B], [C], [B]]),
        ([A, B, C], 2, [[A, B], [B, C], [C, A]]),
        ([A, B], 2, [[A, B], [B, A], [B, A]]),
    ],
)
def test_nodes_are_shared_out_in_turn(nodes, replicas, shares):
    ipfs = local_ipfs(nodes, replicas)
    found = [ipfs.coordinator(), *(ipfs.agent(number) for number in range(1, len(shares)))]
    assert found == [IpfsPlaces(nodes=share, replicas=replicas) for share in shares]


@pytest.mark.parametrize(
    ("nodes", "replicas", "told"),
    [([], 2, "--ipfs"), (["ftp://x"], 1, "nodes.0"), ([A, A], 2, "2 replicas need as many nodes, found 1")],
)
def test_shares_that_cannot_be_made_are_refused(nodes, replicas, told):
    with pytest.raises(SpecError, match=told):
        local_ipfs(nodes, replicas)


def test_without_nodes_content_is_a_folder():
    assert local_ipfs([], 1) is None


def write(folder, text: str):
    path = folder / "nodes.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def test_each_agent_has_settings_of_its_own(tmp_path):
    found = read_node_file(write(tmp_path, "- {slots: 2, device: cpu}\n- {content: /mnt/share}\n- {}\n"))
    assert found.settings == [{"slots": 2, "device": "cpu"}, {"content": "/mnt/share"}, {}]
    assert found.path == tmp_path / "nodes.yaml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slots: 2", "a list with one mapping"),
        ("[]", "a list with one mapping"),
        ("- 2", "node 1: expected a mapping"),
        ("- {}\n- {slots: 0}", "node 2 is not valid:\nslots"),
        ("- {slotz: 1}", "slotz"),
        ("- {bus: 'nats://elsewhere:1'}", "node 1: bus is set by the local network"),
        ("- {network: {}}", "node 1: network is set by the local network"),
        ("- {", "not valid YAML"),
    ],
)
def test_a_bad_file_of_settings_is_refused_by_field(tmp_path, text, told):
    with pytest.raises(SpecError, match=told) as caught:
        read_node_file(write(tmp_path, text))
    assert "nodes.yaml" in str(caught.value)


def test_a_missing_file_of_settings_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"nowhere\.yaml"):
        read_node_file(tmp_path / "nowhere.yaml")


@pytest.mark.slow
@pytest.mark.system
def test_the_running_network_has_these_settings_and_no_others(tmp_path):
    home = AtlasHome(tmp_path / "atlas")
    nodes = read_node_file(write(tmp_path, "- {capacity: 3, threads: 2}\n"))
    with ensure_local_network(home, agents=2, nodes=nodes) as network:
        assert running_network(home).nodes == [{"capacity": 3, "threads": 2}]
        config = load_config(NodeHome(home.nodes / "node-1"))
        assert (config.capacity, config.threads, config.content) == (3, 2, home.content)
        assert not (home.nodes / "node-2").exists()
        with ensure_local_network(home) as same, ensure_local_network(home, nodes=nodes) as again:
            assert same == again == network
        others = read_node_file(write(tmp_path, "- {capacity: 4}\n"))
        with pytest.raises(LocalNetworkError, match=r"other settings than .*nodes\.yaml"):
            enter(ensure_local_network(home, nodes=others))
        with pytest.raises(LocalNetworkError, match=f"content in a folder, not 1 time on {A}"):
            enter(ensure_local_network(home, ipfs=LocalIpfs(nodes=[A])))


@pytest.mark.slow
@pytest.mark.system
def test_an_ipfs_node_that_does_not_answer_is_named_at_once(tmp_path):
    home = AtlasHome(tmp_path / "atlas")
    nowhere = "http://127.0.0.1:1"
    with pytest.raises(LocalNetworkError, match=f"{nowhere} cannot be reached"):
        enter(ensure_local_network(home, ipfs=LocalIpfs(nodes=[nowhere])))
    assert running_network(home) is None


def enter(network) -> None:
    with network:
        pass
