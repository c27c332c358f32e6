"""The network that the coordinator uses: the local one by default, or one described in a file."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.content.places.open import Content
from atlas.documents.document import describe_validation
from atlas.errors import SpecError
from atlas.spec.job import read_mapping
from chain_bridge.client.network import Network

NETWORK_VARIABLE = "ATLAS_NETWORK"


class Addresses(BaseModel):
    """Where the chain, the message server and the content are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Network
    bus: str = Field(pattern=r"^(nats|tls)://", description="the message server, nats://HOST:PORT")
    content: Content = Field(description="a folder that the nodes can reach, or IPFS: nodes, gateways, peers, replicas")


def explicit_network(environment: Mapping[str, str]) -> Addresses | None:
    """The network that the YAML file in `$ATLAS_NETWORK` describes; None when the variable is not set."""
    path = environment.get(NETWORK_VARIABLE)
    return read_addresses(Path(path).expanduser()) if path else None


def read_addresses(path: Path) -> Addresses:
    """Read `network`, `bus` and `content` from a YAML file; raises `SpecError` that names each bad field."""
    try:
        addresses = Addresses.model_validate(read_mapping(path))
    except ValidationError as error:
        raise SpecError(f"{path} does not describe a network:\n{describe_validation(error, Addresses)}") from error
    if addresses.network.contract is None:
        raise SpecError(f"{path} names no contract; set network.contract to its address.")
    return addresses
