"""A node's offer: this machine's hardware, divided into slots by its settings."""

import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import Field

from atlas.documents.document import Document
from atlas.documents.manifests import CidField
from chain_bridge.client.messages import NodeKind
from node_agent.errors import ConfigError
from node_agent.home.config import NodeConfig
from node_agent.presence.hardware import GpuDevice, find_gpus, summarize
from node_agent.wire.messages import HardwareSummary


class NodeManifest(Document):
    """The document by which a node describes itself; its CID is registered on chain."""

    kind: Literal["node"] = "node"
    address: str
    version: str
    platform: str
    cpu: str
    cores: int
    memory_bytes: int
    gpus: list[str]
    slots: int
    datasets: list[CidField] = Field(
        default_factory=list, max_length=100, description="CIDs of LocalData: the node's own data, which stays there"
    )
    price: int = Field(default=0, ge=0, lt=2**53, description="least reward per task, in micro-units")


@dataclass(frozen=True)
class Machine:
    """A machine's hardware, slots, capacity and price.

    `slot_gpus` has the value of `CUDA_VISIBLE_DEVICES` in each slot (None: no limit), `capacity` the number of tasks
    taken at a time, or of contents kept. `price` is the least reward per task, in micro-units.
    """

    hardware: HardwareSummary
    slot_gpus: Sequence[str | None]
    capacity: int
    price: int = 0
    role: NodeKind = "compute"

    @property
    def slots(self) -> int:
        """Tasks trained at a time."""
        return len(self.slot_gpus)

    def manifest(self, address: str, datasets: Collection[str] = ()) -> NodeManifest:
        """The machine's self-description; the same machine, settings and data (CIDs) give the same document."""
        return NodeManifest(
            address=address,
            version=own_version(),
            platform=f"{platform.system()} {platform.machine()}",
            cpu=self.hardware.cpu,
            cores=self.hardware.cores,
            memory_bytes=self.hardware.memory_bytes,
            gpus=[gpu.name for gpu in self.hardware.gpus],
            slots=self.slots,
            datasets=list(datasets),
            price=self.price,
        )


def probe_machine(config: NodeConfig) -> Machine:
    """Look at this machine; raises `ConfigError` when the settings ask for a GPU that is not there."""
    gpus = find_gpus(os.environ)
    if config.device == "cuda" and not gpus:
        raise ConfigError("`device` is cuda, but no NVIDIA GPU is visible here. Check nvidia-smi, or set it to auto.")
    slots = config.slots_with(len(gpus))
    slot_gpus = [gpu_of_slot(slot, config, gpus, os.environ) for slot in range(slots)]
    return Machine(summarize(gpus), slot_gpus, config.capacity_with(len(gpus)), config.price, config.role)


def gpu_of_slot(slot: int, config: NodeConfig, gpus: list[GpuDevice], environment: Mapping[str, str]) -> str | None:
    """The value of `CUDA_VISIBLE_DEVICES` in a slot: one GPU, in rotation; empty for a trainer on the CPU.

    Without an NVIDIA driver it is the agent's own value, because other accelerators use the same variable.
    """
    if config.device == "cpu":
        return ""
    if gpus:
        return gpus[slot % len(gpus)].uuid
    return environment.get("CUDA_VISIBLE_DEVICES")


def own_version() -> str:
    """The installed version of this package."""
    try:
        return version("atlas-pipelines")
    except PackageNotFoundError:
        return "unreleased"
