"""The settings of a node: one YAML file in the node's folder."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atlas.content.places.open import Content
from atlas.data.local_data import DataName, LocalSource
from atlas.documents.document import describe_validation
from atlas.home import outbox_name
from chain_bridge.client.messages import NodeKind
from chain_bridge.client.network import Network
from node_agent.errors import ConfigError

HOME_VARIABLE = "ATLAS_NODE_HOME"
TASKS_PER_SLOT = 8
MOST_PLACES = 1000
"""The largest capacity of a node."""


class NodeConfig(BaseModel):
    """The settings in `config.yaml`; a missing setting has its default, null is computed for this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: Network = Field(description="the chain: chain_id, url, denom, prefix, gas_price, contract")
    bus: str = Field(pattern=r"^(nats|tls|ws|wss)://", description="the message server, nats://HOST:PORT")
    content: Content = Field(
        description="a folder that coordinator and nodes share, or IPFS: nodes (RPC addresses, this machine's own "
        "first), gateways, peers, replicas"
    )
    role: NodeKind = Field(
        default="compute",
        description="compute: trains tasks; storage: keeps the files of registered models, and answers audits",
    )
    slots: int | None = Field(default=None, gt=0, description="tasks trained at a time; null: one a GPU, or 1")
    threads: int = Field(default=1, gt=0, description="CPU threads of each trainer")
    capacity: int | None = Field(
        default=None,
        gt=0,
        le=MOST_PLACES,
        description="tasks accepted at a time, running and queued; null: 8 a slot. Of a storage node: contents kept; "
        "null: 1000",
    )
    heartbeat_seconds: float = Field(default=30, gt=0, description="seconds between two heartbeats")
    stop_seconds: float = Field(
        default=10, gt=0, description="seconds that a trainer has to save its work when the node stops"
    )
    keep_trainer_seconds: float = Field(
        default=300,
        ge=0,
        description="seconds that a trainer's process, about 1 GB of memory, waits for another task of its job, which "
        "then needs no imports; 0: each task gets a new process",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="device that trains; auto: a GPU if there is one"
    )
    price: int = Field(
        default=0,
        ge=0,
        lt=2**53,
        description="least reward per task that this node works for, in micro-units; 0: any",
    )
    auto_withdraw: bool = Field(default=True, description="move earned credit to the node's account")
    cache_gigabytes: float = Field(
        default=20, ge=0, description="size of the content kept between tasks, or by a storage node"
    )
    datasets: dict[DataName, LocalSource] = Field(
        default_factory=dict,
        max_length=100,
        description="the node's own data, which jobs may train on here and which never leaves the node: NAME: "
        "{source, text_column, label_column, where, keep, jobs}",
    )

    @property
    def contract(self) -> str:
        """The contract's address; `load_config` has checked that there is one."""
        return self.network.contract or ""

    @property
    def cache_bytes(self) -> int:
        """The most bytes of content that the node keeps."""
        return int(self.cache_gigabytes * 1e9)

    def slots_with(self, gpus: int) -> int:
        """Tasks trained at a time on a machine with so many GPUs."""
        return self.slots or (1 if self.device == "cpu" else max(gpus, 1))

    def capacity_with(self, gpus: int) -> int:
        """Tasks taken at a time on a machine with so many GPUs; of a storage node: contents kept."""
        if self.role == "storage":
            return self.capacity or MOST_PLACES
        return self.capacity or min(TASKS_PER_SLOT * self.slots_with(gpus), MOST_PLACES)


@dataclass(frozen=True)
class NodeHome:
    """The layout of a node's folder; nothing is created by asking for a path."""

    root: Path

    @classmethod
    def from_environment(cls) -> "NodeHome":
        """The folder that `$ATLAS_NODE_HOME` names (default `~/.atlas-node`), made absolute."""
        return cls(Path(os.environ.get(HOME_VARIABLE, "~/.atlas-node")).expanduser().absolute())

    def command(self, words: str) -> str:
        """The command line `atlas-node` with these words, with --home unless the environment names this folder."""
        usual = self.root == NodeHome.from_environment().root
        return f"atlas-node {words}" if usual else f"atlas-node {words} --home {shlex.quote(str(self.root))}"

    @property
    def config(self) -> Path:
        """The settings."""
        return self.root / "config.yaml"

    @property
    def key(self) -> Path:
        """The node's mnemonic, mode 600."""
        return self.root / "node.key"

    @property
    def salt(self) -> Path:
        """The salt of the commitments to the node's own data, mode 600."""
        return self.root / "data.salt"

    @property
    def journal(self) -> Path:
        """The tasks that this node accepted (SQLite)."""
        return self.root / "journal.db"

    def outbox(self, chain_id: str, address: str) -> Path:
        """The node's outbox for a chain and an account (SQLite)."""
        return self.root / "outbox" / outbox_name(chain_id, address)

    @property
    def lock(self) -> Path:
        """The lock that the agent in this folder holds."""
        return self.root / "agent.lock"

    @property
    def content(self) -> Path:
        """The node's own copies of content."""
        return self.root / "content"

    @property
    def cache(self) -> Path:
        """Base models, ready to load."""
        return self.root / "cache"

    @property
    def residuals(self) -> Path:
        """The residuals of compressed updates."""
        return self.root / "residuals"

    @property
    def work(self) -> Path:
        """One folder per unfinished task, named by its CID."""
        return self.root / "work"

    @property
    def logs(self) -> Path:
        """The output of each trainer."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """The tracebacks of unexpected errors."""
        return self.logs / "atlas-node.log"


def load_config(home: NodeHome) -> NodeConfig:
    """Read the node's settings; raises `ConfigError` that names each bad field and what to do."""
    try:
        raw = yaml.safe_load(home.config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There are no settings at {home.config}. Write them with "
            f"`{home.command('config init --from NETWORK_FILE')}`, "
            "where NETWORK_FILE is the network.json of a coordinator, or give --home or $ATLAS_NODE_HOME."
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"Cannot read the settings {home.config}: {error}") from error
    try:
        config = NodeConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            f"The settings {home.config} are not valid:\n{describe_validation(error, NodeConfig)}"
        ) from error
    if config.network.contract is None:
        raise ConfigError(f"{home.config} names no contract; set network.contract to its address.")
    return config
