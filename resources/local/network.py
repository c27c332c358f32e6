"""The local network on demand: the first user starts it, the last user stops it."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import resources
from atlas.counts import counted
from atlas.disk.locks import exclusive, is_free, shared
from atlas.home import AtlasHome
from atlas.processes import command_line, stop_process
from chain_bridge.networks.networks import EMBEDDED
from resources.errors import LocalNetworkError
from resources.local.child import open_log, tail
from resources.local.ipfs import LocalIpfs
from resources.local.network_file import LocalNetwork, read_network
from resources.local.network_watch import NetworkWatch
from resources.local.node_file import NodeFile
from resources.local.start_steps import StepReader

log = logging.getLogger(__name__)
START_SECONDS = 120.0
"""A start without a new step for this long has failed. Each agent is a step, so many agents have more time."""
STOP_SECONDS = 40.0
POLL_SECONDS = 0.05


def users_lock(home: AtlasHome) -> Path:
    """The lock that every user of the local network holds in shared mode."""
    return home.root / "network.lock"


def change_lock(home: AtlasHome) -> Path:
    """The lock that is held exclusively while the local network is started or stopped."""
    return home.root / "network.change.lock"


def running_network(home: AtlasHome) -> LocalNetwork | None:
    """The running local network, or None."""
    return read_network(home.network_file)


@contextmanager
def ensure_local_network(
    home: AtlasHome,
    agents: int = 2,
    threads: int = 1,
    restart_agents: bool = True,
    chain: str | None = None,
    ipfs: LocalIpfs | None = None,
    nodes: NodeFile | None = None,
    watch: NetworkWatch | None = None,
) -> Iterator[LocalNetwork]:
    """Use the running local network, or start one with `agents` agents of `threads` threads per task.

    `chain` is the name of the network whose chain it must use. `ipfs` are the nodes that must hold its content, and
    `nodes` the settings, one per agent, that its agents must have. None accepts any running network; a new one gets the
    embedded chain, a folder for content, and agents with default settings.

    The network runs as long as it has users. Its supervisor detects a user that crashed. If the supervisor crashes, the
    `watch` of each user detects it, and one of them starts the network again.

    Raises `LocalNetworkError`, with the end of the log when a part does not start, or with the differences when the
    running network does not have the required settings.
    """
    watch = watch or NetworkWatch()
    with ExitStack() as using:
        using.enter_context(shared(users_lock(home)))
        try:
            with exclusive(change_lock(home)):
                network = running_network(home)
                command = supervisor_command(
                    home, agents, threads, restart_agents, chain or EMBEDDED, ipfs, nodes and nodes.path
                )
                if network is None:
                    network = _start(home, command, watch.step)
                else:
                    command = command_line(network.pid) or command  # none if it has just died; the watch detects it
            _refuse_another(network, chain, ipfs, nodes)
            for name, reason in network.not_started.items():
                watch.notice(f"{name} of the local network did not start, the others work without it: {reason}")
            with watch.over(network, lambda: _revived(home, command, watch.step)):
                yield network
        finally:
            with exclusive(change_lock(home)):
                using.close()
                if is_free(users_lock(home)):
                    stop_local_network(home)


def _revived(home: AtlasHome, command: list[str], on_step: Callable[[str], None]) -> LocalNetwork:
    """The running network, or a new one started by `command`. Raises `LocalNetworkError`."""
    with exclusive(change_lock(home)):
        return running_network(home) or _start(home, command, on_step)


def stop_local_network(home: AtlasHome) -> None:
    """Stop the supervisor, which stops the rest; does nothing if none runs."""
    network = running_network(home)
    if network is None:
        return
    if not stop_process(network.pid, STOP_SECONDS):
        log.warning("the local network's supervisor %d did not stop in time and was killed", network.pid)


def supervisor_command(
    home: AtlasHome,
    agents: int,
    threads: int,
    restart_agents: bool,
    chain: str = EMBEDDED,
    ipfs: LocalIpfs | None = None,
    nodes: Path | None = None,
) -> list[str]:
    """The command line of the local network's supervisor."""
    command = [sys.executable, "-m", "resources.local.supervisor", "--home", str(home.root)]
    command += ["--agents", str(agents), "--threads", str(threads), "--chain", chain]
    if ipfs is not None:
        command += [f"--ipfs={url}" for url in ipfs.nodes] + ["--replicas", str(ipfs.replicas)]
    if nodes is not None:
        command += ["--nodes", str(nodes)]
    return command if restart_agents else [*command, "--no-restart-agents"]


def child_environment() -> dict[str, str]:
    """This process's environment, with a PYTHONPATH by which a child in any folder imports the same packages."""
    root = str(Path(resources.__file__).parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def _refuse_another(network: LocalNetwork, chain: str | None, ipfs: LocalIpfs | None, nodes: NodeFile | None) -> None:
    """Raise `LocalNetworkError` unless the running network has the required settings."""
    differences = []
    if chain is not None and network.chain != chain:
        differences.append(f"runs on the chain {network.chain}, not on {chain}")
    if ipfs is not None and network.ipfs != ipfs:
        differences.append(f"keeps its content {_described(network.ipfs)}, not {_described(ipfs)}")
    if nodes is not None and network.nodes != nodes.settings:
        differences.append(f"has agents with other settings than {nodes.path}")
    if differences:
        raise LocalNetworkError(
            f"The local network {' and '.join(differences)}. Stop what uses it first, such as `atlas up`."
        )


def _described(ipfs: LocalIpfs | None) -> str:
    return "in a folder" if ipfs is None else f"{counted(ipfs.replicas, 'time')} on {', '.join(ipfs.nodes)}"


def _start(home: AtlasHome, command: list[str], on_step: Callable[[str], None]) -> LocalNetwork:
    on_step("Starting the local network.")
    log_file = home.logs / "supervisor.log"
    with open_log(log_file) as output:
        offset = output.tell()
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,
        )
    steps = StepReader(log_file, offset)
    deadline = time.monotonic() + START_SECONDS
    while supervisor.poll() is None and time.monotonic() < deadline:
        network = running_network(home)
        for step in steps.new():
            on_step(step)
            deadline = time.monotonic() + START_SECONDS
        if network is not None and network.pid == supervisor.pid:
            return network
        time.sleep(POLL_SECONDS)
    supervisor.terminate()
    raise LocalNetworkError(f"The local network did not start. The end of {log_file}:\n{tail(log_file, offset)}")
