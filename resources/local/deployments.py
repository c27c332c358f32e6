"""Named networks and the contracts deployed there: `$ATLAS_HOME/contracts.json`."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from atlas.disk.files import read_if_there, write_file
from atlas.disk.locks import exclusive
from atlas.documents.document import describe_validation
from atlas.home import AtlasHome
from chain_bridge.client.network import Network
from chain_bridge.errors import WrongContract
from chain_bridge.networks.localnet import find_localnet
from chain_bridge.networks.networks import LOCAL, NetworksFileError, Preset, UnknownNetwork, find_preset


class NotDeployed(WrongContract):
    """This coordinator has deployed no contract to a network."""


class Deployment(BaseModel):
    """A contract on a named network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: str
    url: str
    contract: str


_ALL = TypeAdapter(dict[str, Deployment])


def networks_file(home: AtlasHome) -> Path:
    """The operator's own named networks; need not exist."""
    return home.root / "networks.yaml"


def deployments(home: AtlasHome) -> dict[str, Deployment]:
    """The deployed contracts, by the network's name; raises `NetworksFileError` when the file is damaged."""
    path = _path(home)
    if (found := read_if_there(path)) is None:
        return {}
    try:
        return _ALL.validate_json(found)
    except ValidationError as error:
        raise NetworksFileError(
            f"{path} is damaged:\n{describe_validation(error)}\nCorrect it, or remove it and deploy again."
        ) from error


def record_deployment(home: AtlasHome, name: str, network: Network) -> None:
    """Record a network's contract under a name; replaces an earlier record."""
    if network.contract is None:
        raise NotDeployed(f"The network {name} has no contract whose address could be saved.")
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(home.root / "contracts.lock"):
        found = deployments(home)
        found[name] = Deployment(chain_id=network.chain_id, url=network.url, contract=network.contract)
        write_file(_path(home), _ALL.dump_json(dict(sorted(found.items())), indent=2))


def bare_network(home: AtlasHome, name: str, environment: Mapping[str, str], url: str | None = None) -> Network:
    """A named network without its contract.

    Its address is `url`, or else that of the preset, the local node or the last deployment, in this order. Raises
    `UnknownNetwork` or `NetworksFileError`.
    """
    preset = find_preset(name, networks_file(home))
    return preset.network(url or preset.url or _local_url(home, name, preset, environment))


def named_network(home: AtlasHome, name: str, environment: Mapping[str, str], url: str | None = None) -> Network:
    """A named network with the contract that was deployed there; raises `NotDeployed` too."""
    network = bare_network(home, name, environment, url)
    found = deployments(home).get(name)
    if found is None or found.chain_id != network.chain_id:
        raise NotDeployed(
            f"No contract was deployed to the network {name} ({network.chain_id}). "
            f"Run: atlas chain deploy --network {name}"
        )
    return network.model_copy(update={"contract": found.contract})


def _local_url(home: AtlasHome, name: str, preset: Preset, environment: Mapping[str, str]) -> str:
    found = deployments(home).get(name)
    known = found.url if found is not None and found.chain_id == preset.chain_id else None
    if name == LOCAL:
        try:
            return find_localnet(environment).url
        except UnknownNetwork:
            if known is None:
                raise
    if known is None:
        raise UnknownNetwork(f"The address of the network {name} is not known. Give it with --url.")
    return known


def _path(home: AtlasHome) -> Path:
    return home.root / "contracts.json"
