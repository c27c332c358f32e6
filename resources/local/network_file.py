"""`network.json`: the addresses of the local network while it runs."""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from atlas.disk.files import read_if_there
from atlas.processes import ProcessRef
from chain_bridge.networks.networks import EMBEDDED
from resources.local.ipfs import LocalIpfs
from resources.settings import Addresses


class LocalNetwork(Addresses):
    """The addresses of a running local network, and its supervisor."""

    chain: str = Field(default=EMBEDDED, description="the name of the network whose chain it uses")
    ipfs: LocalIpfs | None = Field(
        default=None, description="how IPFS nodes are distributed; null: content is a folder"
    )
    nodes: list[dict[str, Any]] = Field(default=[], description="settings of each agent, if they were given")
    pid: int = Field(description="process id of the supervisor")
    home: Path | None = Field(default=None, description="the coordinator's folder that it is kept in")
    host: str | None = Field(default=None, description="the name of the machine that it is kept on")
    started: float = Field(description="start time of the supervisor, from the kernel; detects reused process ids")
    not_started: dict[str, str] = Field(default={}, description="agents that did not start, and why")
    webserver: str | None = None

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote the record still runs."""
        return ProcessRef(self.pid, self.started).runs


def read_network(path: Path) -> LocalNetwork | None:
    """The running network; None if there is none, or its supervisor is dead."""
    network = last_network(path)
    return network if network is not None and network.alive else None


def last_network(path: Path) -> LocalNetwork | None:
    """The running network, or the one whose supervisor died; None if the last one was stopped cleanly.

    A record of another home's network, which was copied here with that home, is ignored.
    """
    network = recorded_network(path)
    return None if network is None or is_copied(network, path) else network


def recorded_network(path: Path) -> LocalNetwork | None:
    """The network recorded at `path`, even of another home; None without a file that this version can read."""
    found = read_if_there(path)
    try:
        return None if found is None else LocalNetwork.model_validate_json(found)
    except ValidationError:
        return None  # written by another version, so no such process is ours


def is_copied(network: LocalNetwork, path: Path) -> bool:
    """Whether the network recorded at `path` belongs to another folder than that file's."""
    return network.home is not None and network.home.resolve() != path.parent.resolve()
