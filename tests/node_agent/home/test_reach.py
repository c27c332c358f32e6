import pytest
from typer.testing import CliRunner

from atlas.content.places.open import IpfsPlaces
from chain_bridge.client.network import Network
from node_agent.cli.main import app
from node_agent.home.config import NodeConfig
from node_agent.home.reach import only_local

NETWORK = {"chain_id": "c-1", "url": "grpc+https://chain.example:443", "denom": "uatl", "prefix": "atlas"}
IPFS = {"nodes": ["http://127.0.0.1:5001"]}


def config(url=NETWORK["url"], bus="nats://bus.example:4222", **content):
    places = IpfsPlaces(**{**IPFS, **content})
    return NodeConfig(network=Network(**{**NETWORK, "url": url, "contract": "atlas1c"}), bus=bus, content=places)


def test_addresses_of_other_machines_and_the_machines_own_ipfs_node_are_fine():
    assert only_local(config(gateways=["https://gate.example"], peers=["/ip4/10.0.0.7/tcp/4001/p2p/Qm"])) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "0.0.0.0", "[::1]", "[::]", "169.254.1.1"])
def test_a_host_of_this_machine_alone_is_named(host):
    (problem,) = only_local(config(bus=f"nats://{host}:4222"))
    assert problem.startswith(f"bus is nats://{host}:4222")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "grpc+http://127.0.0.1:9090"}, "network.url"),
        ({"gateways": ["http://localhost:8080"]}, "content.gateways"),
        ({"nodes": ["http://127.0.0.1:5001", "http://127.0.0.1:5002"]}, "content.nodes"),
        ({"peers": ["/ip4/127.0.0.1/tcp/4001/p2p/Qm"]}, "content.peers"),
        ({"peers": ["/ip6/::1/tcp/4001/p2p/Qm"]}, "content.peers"),
    ],
)
def test_each_setting_with_such_an_address_is_named(changes, named):
    (problem,) = only_local(config(**changes))
    assert problem.startswith(named)


def test_config_init_warns_of_a_network_on_one_machine(tmp_path):
    file = tmp_path / "network.yaml"
    file.write_text(
        "network: {chain_id: c-1, url: 'grpc+http://127.0.0.1:9090', denom: uatl, prefix: atlas, contract: atlas1c}\n"
        "bus: nats://127.0.0.1:4222\ncontent: /srv/content\n"
    )

    def init(name, *more):
        home = str(tmp_path / name)
        return CliRunner().invoke(app, ["config", "init", "--from", str(file), "--home", home, *more])

    warned = init("a")
    assert warned.exit_code == 0
    assert [line.split()[1] for line in warned.stderr.splitlines()[:3]] == ["network.url", "bus", "content"]
    assert (tmp_path / "a" / "config.yaml").exists()
    assert init("b", "--local").stderr == ""
