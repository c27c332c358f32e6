"""`network.json`: where the local network answers while it runs."""

from pathlib import Path
from typing import Any

import psutil
from pydantic import Field, ValidationError

from chain_bridge.networks import EMBEDDED
from resources.local_ipfs import LocalIpfs
from resources.settings import Addresses


class LocalNetwork(Addresses):
    """The addresses of a running local network, and the process that keeps it."""

    chain: str = Field(default=EMBEDDED, description="the name of the network whose chain it uses")
    ipfs: LocalIpfs | None = Field(default=None, description="how IPFS nodes are shared out; null: content is a folder")
    nodes: list[dict[str, Any]] = Field(default=[], description="settings of each agent, if they were given")
    pid: int = Field(description="the supervisor")
    started: float = Field(description="the supervisor's start, as the kernel tells it; guards against reused pids")
    not_started: dict[str, str] = Field(default={}, description="agents that did not start, and why")
    webserver: str | None = None

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def read_network(path: Path) -> LocalNetwork | None:
    """The network that runs now; None when there is none, or its supervisor is dead."""
    network = last_network(path)
    return network if network is not None and network.alive else None


def last_network(path: Path) -> LocalNetwork | None:
    """The network that runs, or the one whose supervisor died; None when the last one stopped in good order."""
    try:
        return LocalNetwork.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None  # never started, or written by another version that left no process of ours
