"""Checks of running services: supervisor of the local network, chain, message server, nodes and content store."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from atlas.clocks import MOST_SECONDS, describe_difference
from atlas.content.kubo.node import KuboNode
from atlas.content.places.open import Content
from atlas.counts import counted
from atlas.errors import ContentError
from atlas.home import AtlasHome
from atlas_pipelines.doctor.coherence import check_jobs
from atlas_pipelines.doctor.finding import Finding, failing
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from resources.local.network_file import LocalNetwork, is_copied, read_network, recorded_network
from resources.settings import NETWORK_VARIABLE, Addresses, explicit_network

CHAIN_SECONDS, BUS_SECONDS = 5.0, 2.0
WEB_PORT = 3000


def check_services(home: AtlasHome, listen: float = 0.0, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Check the network in use, if one runs; `clock` gives unix seconds.

    `listen` is the number of seconds to wait for the nodes' heartbeats, to compare their clocks; 0 skips this check.
    """
    findings: list[Finding] = []
    addresses: Addresses | None = None
    with failing("network", findings):
        addresses = explicit_network(os.environ)
    if addresses is not None:
        findings.append(
            Finding("network", "ok", f"${NETWORK_VARIABLE} describes a network on {addresses.network.chain_id}.")
        )
    elif not findings:
        found, local = check_supervisor(home)
        findings += found
        addresses = local
    if addresses is not None:
        findings += [*check_chain(home, addresses.network, clock), check_bus(addresses.bus)]
        if listen:
            from atlas_pipelines.doctor.heartbeats import listen_to_nodes  # only this check needs NATS

            findings += listen_to_nodes(addresses.bus, listen, clock)
    return [*findings, check_content(addresses.content if addresses else home.content)]


def check_supervisor(home: AtlasHome) -> tuple[list[Finding], LocalNetwork | None]:
    """Whether the local network runs, and the network if it does."""
    path = home.network_file
    network = recorded_network(path)
    if network is None and path.exists():
        text = f"{path} is not readable by this version. Stop what uses the local network and remove the file."
        return [Finding("supervisor", "warning", text)], None
    if network is None:
        return [Finding("supervisor", "ok", "No local network runs; `atlas up` or `atlas run` starts it.")], None
    if is_copied(network, path):
        text = (
            f"No local network runs in this home; it is a copy of {network.home}, whose network (process "
            f"{network.pid}) {path} names. `atlas up` or `atlas run` starts a new network and replaces that record."
        )
        return [Finding("supervisor", "ok", text)], None
    if not network.alive and network.host not in (None, socket.gethostname()):
        text = (
            f"{path} names a network on the machine {network.host} (process {network.pid}), so it cannot be checked "
            "from here. If it still runs there, use it there, or stop it first. If not, `atlas up` or `atlas run` "
            "starts one here."
        )
        return [Finding("supervisor", "warning", text)], None
    if not network.alive:
        text = (
            f"The supervisor of the local network (process {network.pid} of {path}) ended unexpectedly, and with it "
            "chain, message server and nodes. `atlas up` or `atlas run` starts them again; its log is "
            f"{home.logs / 'supervisor.log'}."
        )
        return [Finding("supervisor", "failed", text)], None
    findings = [Finding("supervisor", "ok", f"The local network runs (process {network.pid}).")]
    for name, reason in network.not_started.items():
        findings.append(Finding("nodes", "warning", f"{name} did not start with the network: {reason}"))
    return findings, network


def check_chain(home: AtlasHome, network: Network, clock: Callable[[], float]) -> list[Finding]:
    """Check that the chain answers with the right contract, its clock, the nodes' heartbeats, and the jobs."""
    findings: list[Finding] = []
    with failing("chain", findings), Ledger(network, timeout_seconds=CHAIN_SECONDS) as ledger:
        height, there = ledger.newest_block()
        here = clock()
        findings.append(check_clock(here, there, f"block {height} of the chain {network.chain_id}"))
        config, nodes = ledger.config(), ledger.nodes()
        findings.append(
            Finding("chain", "ok", f"{network.chain_id} at {network.url}, block {height}, contract answers.")
        )
        active = [node for node in nodes if node.status == "active"]
        silent = [str(node.id) for node in active if there - node.last_seen > config.heartbeat_seconds]
        if silent:
            text = (
                f"Node(s) {', '.join(silent)} sent no heartbeat for over {config.heartbeat_seconds} s. Look at their "
                "logs ($ATLAS_HOME/logs/node-K.log) and clocks, and start them again."
            )
            findings.append(Finding("nodes", "warning", text))
        else:
            findings.append(
                Finding("nodes", "ok", f"{counted(len(active), 'active node')}, each with a fresh heartbeat.")
            )
        if home.operator_key.exists() and network.contract is not None:
            operator = load_or_create_key(home.operator_key, network.prefix).address
            ours = {job.id for job in ledger.jobs() if job.owner == operator}
            findings += check_jobs(home, network.contract, ours)
    return findings


def check_clock(here: float, there: float, whose: str) -> Finding:
    """Compare our clock with another. An idle chain looks late, so a clock behind ours is only a warning."""
    if abs(here - there) <= MOST_SECONDS:
        return Finding("clock", "ok", f"This machine's clock is {abs(here - there):.0f} s from {whose}.")
    text = describe_difference(here, there, whose)
    if there > here:
        return Finding("clock", "failed", text)
    return Finding("clock", "warning", f"{text} A chain that makes no blocks looks the same.")


def check_bus(url: str) -> Finding:
    """Whether a NATS server answers at this address."""
    parts = urlsplit(url)
    port = parts.port or 4222
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=BUS_SECONDS) as connection:
            connection.settimeout(BUS_SECONDS)
            greeting = connection.recv(5)
    except OSError as error:
        text = f"No message server answers at {parts.hostname}:{port} ({error}). Start the network, or correct `bus`."
        return Finding("messages", "failed", text)
    if greeting != b"INFO ":
        return Finding(
            "messages", "failed", f"What answers at {parts.hostname}:{port} is not a NATS server. Correct `bus`."
        )
    return Finding("messages", "ok", f"The message server at {parts.hostname}:{port} answers.")


def check_content(content: Content) -> Finding:
    """Whether the content's folder is usable, or its IPFS nodes answer."""
    if isinstance(content, Path):
        if not content.exists():
            return Finding("content", "ok", f"{content} is created when it is first needed.")
        if not content.is_dir():
            return Finding("content", "failed", f"{content} is a file, expected a folder. Move it away.")
        return Finding("content", "ok", f"The folder {content}; `atlas content verify` checks every byte of it.")
    silent = []
    for url in content.nodes:
        try:
            KuboNode(url).identity()
        except ContentError as error:
            silent.append(str(error))
    if silent:
        return Finding("content", "failed", " ".join(silent))
    return Finding("content", "ok", f"Every IPFS node answers ({len(content.nodes)}).")


def check_web_port(home: AtlasHome, port: int = WEB_PORT) -> Finding:
    """Whether the port of Dagster's pages is free, or taken by `atlas up` or another program."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if not taken:
        return Finding("port", "ok", f"Port {port} is free for the pages of `atlas up`.")
    if read_network(home.network_file) is not None:
        return Finding("port", "ok", f"Port {port} is in use, as it is while `atlas up` runs.")
    text = f"Port {port} is taken by another program. Start with another one: atlas up --port {port + 1}"
    return Finding("port", "warning", text)
