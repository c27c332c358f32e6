"""Which network: none named means the local one; a bad file is refused by field."""

import pytest

from atlas.errors import SpecError
from resources.settings import explicit_network

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


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("nats://", "http://", "bus"),
        ("grpc+http", "http", "network.url"),
        (", contract: atlas1contract", "", "contract"),
    ],
)
def test_a_bad_file_is_refused_by_field(tmp_path, old, new, named):
    path = tmp_path / "network.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(SpecError, match=named) as caught:
        explicit_network({"ATLAS_NETWORK": str(path)})
    assert str(path) in str(caught.value)
