"""Which network: none named means the local one; a bad file is refused by field."""

from pathlib import Path

import pytest

from atlas.content.places.open import IpfsPlaces
from atlas.errors import SpecError
from resources.settings import explicit_network, read_addresses

GOOD = """
network: {chain_id: atlas-1, url: grpc+http://127.0.0.1:9090, contract: atlas1contract}
bus: nats://127.0.0.1:4222
content: /srv/content
"""


def test_the_variable_decides(tmp_path):
    path = tmp_path / "network.yaml"
    path.write_text(GOOD)
    assert explicit_network({}) is None
    addresses = explicit_network({"ATLAS_NETWORK": str(path)})
    assert (addresses.network.contract, addresses.bus) == ("atlas1contract", "nats://127.0.0.1:4222")


def test_content_is_a_folder_or_on_ipfs(tmp_path):
    path = tmp_path / "network.yaml"
    path.write_text(GOOD)
    assert read_addresses(path).content == Path("/srv/content")
    path.write_text(GOOD.replace("/srv/content", "{nodes: ['http://127.0.0.1:5001'], replicas: 2}"))
    found = read_addresses(path).content
    assert found == IpfsPlaces(nodes=["http://127.0.0.1:5001"], gateways=[], peers=[], replicas=2)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("nats://", "http://", "bus"),
        ("grpc+http", "http", "network.url"),
        (", contract: atlas1contract", "", "contract"),
        ("/srv/content", "{gateways: []}", r"content\.IpfsPlaces\.nodes"),
        ("/srv/content", "{nodes: ['/ip4/127.0.0.1/tcp/5001']}", r"content\.IpfsPlaces\.nodes\.0"),
        ("/srv/content", "{nodes: ['http://user:word@127.0.0.1:5001']}", r"content\.IpfsPlaces\.nodes\.0"),
    ],
)
def test_a_bad_file_is_refused_by_field(tmp_path, old, new, named):
    path = tmp_path / "network.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(SpecError, match=named) as caught:
        explicit_network({"ATLAS_NETWORK": str(path)})
    assert str(path) in str(caught.value)
