"""The network, the key and the files that a command about the chain works with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import typer

from atlas.home import AtlasHome
from atlas_pipelines.cli.network import need_a_network, using_network
from chain_bridge.client.keys import Key, load_or_create_key, read_key
from chain_bridge.client.network import Network
from chain_bridge.errors import KeyFileError
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.networks.networks import EMBEDDED, LOCAL, Preset, find_preset
from resources.local.contract import embedded_contract
from resources.local.deployments import bare_network, deployments, named_network, networks_file
from resources.local.network import ensure_local_network, running_network
from resources.local.network_file import LocalNetwork
from resources.settings import NETWORK_VARIABLE, Addresses, explicit_network

Name = Annotated[
    str | None,
    typer.Option(
        "--network",
        help="embedded, local, osmosis, dorado, neutron, or a name in $ATLAS_HOME/networks.yaml; "
        "by default the network in use: $ATLAS_NETWORK, or the local one.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="Address of the named network, if it differs from the recorded one: grpc+https://HOST:PORT."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", help="File with the mnemonic of another account than the operator's.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class ChainTarget:
    """A network, its name on this machine, and the key of the account that acts on it."""

    home: AtlasHome
    name: str
    network: Network
    key_file: Path
    running: bool = True

    @cached_property
    def key(self) -> Key:
        """The key that signs transactions. The operator's is created on first use; raises `KeyFileError`."""
        return load_or_create_key(self.key_file, self.network.prefix)

    @property
    def address(self) -> str | None:
        """The account of the key file; None before the operator's key is created."""
        key = read_key(self.key_file, self.network.prefix)
        return None if key is None else key.address

    @property
    def is_local(self) -> bool:
        """Whether its chain runs on this machine."""
        return self.name in (EMBEDDED, LOCAL)

    @property
    def preset(self) -> Preset | None:
        """The preset with the network's name; None for a network that a file of `$ATLAS_NETWORK` describes."""
        return None if self.name == NETWORK_VARIABLE else find_preset(self.name, networks_file(self.home))

    def read_model(self) -> ReadModel:
        """The local copy of the contract's state; use it in a `with` statement."""
        folder = self.home.root / "follower"
        return ReadModel(folder / f"{self.network.chain_id}.{self.network.contract}.db")


@contextmanager
def place(
    name: str | None, url: str | None, key: Path | None, deployed: bool = True, reading: bool = False
) -> Iterator[ChainTarget]:
    """The network that a command names. With `deployed`, it must have a contract.

    The embedded chain is started if it does not run, and kept running inside the block. A command that is only
    `reading` does not create a chain: without one, it raises `CoordinatorError`.
    """
    home = AtlasHome.from_environment()
    if name is not None and name != EMBEDDED:
        find = named_network if deployed else bare_network
        network = find(home, name, os.environ, url)
        yield ChainTarget(home, name, network, _key_file(home, key))
        return
    if url is not None:
        raise typer.BadParameter("it needs --network NAME", param_hint="--url")
    if reading:
        need_a_network(home)
    using = using_network(home) if name is None else ensure_local_network(home, chain=name)
    with using as addresses:
        yield _in_use(home, addresses, key)


def look_at_place(name: str | None, url: str | None, key: Path | None) -> ChainTarget:
    """As `place`, but nothing is started, and a network without a contract is accepted."""
    home = AtlasHome.from_environment()
    if name is not None and name != EMBEDDED:
        network = bare_network(home, name, os.environ, url)
        found = deployments(home).get(name)
        contract = found.contract if found is not None and found.chain_id == network.chain_id else None
        network = network.model_copy(update={"contract": contract})
        return ChainTarget(home, name, network, _key_file(home, key))
    explicit, running = explicit_network(os.environ), running_network(home)
    if name is None and explicit is not None:
        return _in_use(home, explicit, key)
    if running is not None and name in (None, running.chain):
        return _in_use(home, running, key)
    network = find_preset(EMBEDDED, networks_file(home)).network("grpc+http://127.0.0.1:0", embedded_contract(home))
    return ChainTarget(home, EMBEDDED, network, _key_file(home, key), running=False)


def _in_use(home: AtlasHome, addresses: Addresses, key: Path | None) -> ChainTarget:
    name = addresses.chain if isinstance(addresses, LocalNetwork) else NETWORK_VARIABLE
    return ChainTarget(home, name, addresses.network, _key_file(home, key))


def _key_file(home: AtlasHome, path: Path | None) -> Path:
    if path is None:
        return home.operator_key
    path = path.expanduser()
    if not path.exists():
        raise KeyFileError(f"There is no key at {path}. Give the file of a mnemonic, or leave --key out.")
    return path
