"""The supervisor of the local network: `python -m resources.local.supervisor --home FOLDER`."""

import argparse
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from atlas.disk.files import write_file
from atlas.disk.locks import exclusive, is_free, try_exclusive
from atlas.errors import AtlasError
from atlas.home import AtlasHome
from atlas.processes import ProcessRef
from chain_bridge.networks.networks import EMBEDDED
from resources.local.ipfs import local_ipfs
from resources.local.network import change_lock, users_lock
from resources.local.network_file import LocalNetwork, last_network
from resources.local.node_file import read_node_file
from resources.local.parts import LocalParts
from resources.local.restarts import Restarter
from resources.local.start_steps import announce

log = logging.getLogger("atlas.local_network")
WATCH_SECONDS = 0.2
RESTART_VARIABLE = "ATLAS_RESTART_AGENTS"
"""With `0`, agents that died are not restarted, unless the command line overrides it."""


def main() -> None:
    """Start the parts, announce them in `network.json`, keep them running, and stop them on SIGTERM."""
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    set_on_retry_hooks([LoggingOnRetryHook])
    home = AtlasHome(arguments.home.absolute())
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _stop)
    with exclusive(home.root / "supervisor.lock"):  # one at a time: an older one may still be stopping
        try:
            _keep(home, arguments)
        except AtlasError as error:
            sys.exit(str(error))


def _keep(home: AtlasHome, arguments: argparse.Namespace) -> None:
    ipfs = local_ipfs(arguments.ipfs, arguments.replicas)
    nodes = read_node_file(arguments.nodes).settings if arguments.nodes else []
    agents = len(nodes) or arguments.agents
    before = last_network(home.network_file)
    parts = LocalParts(home, agents, arguments.threads, arguments.chain, ipfs, nodes, before, announce)
    try:
        addresses = parts.start()
        this = ProcessRef.of_this()
        network = LocalNetwork(
            **dict(addresses),
            chain=arguments.chain,
            ipfs=ipfs,
            nodes=nodes,
            pid=this.pid,
            home=home.root,
            host=socket.gethostname(),
            started=this.started,
            not_started=parts.not_started,
        )
        write_file(home.network_file, network.model_dump_json(indent=2).encode())
        log.info("ready: %s", addresses.network.url)
        keeper = Restarter(parts.children, lambda name: arguments.restart_agents or not name.startswith("node-"))
        _watch(keeper, _AbandonedSince(home), arguments.abandoned_seconds)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        home.network_file.unlink(missing_ok=True)
        parts.stop()
        log.info("stopped")


def _watch(keeper: Restarter, abandoned_for: Callable[[float], float], abandoned_seconds: float) -> None:
    while True:
        now = time.monotonic()
        keeper.restart_ended(now)
        if abandoned_for(now) > abandoned_seconds:
            log.info("the local network has not been used for %g s", abandoned_seconds)
            return
        time.sleep(WATCH_SECONDS)


class _AbandonedSince:
    """The seconds since the users' lock was last held; the kernel also releases it when a user crashes."""

    def __init__(self, home: AtlasHome) -> None:
        self._home = home
        self._used = time.monotonic()

    def __call__(self, now: float) -> float:
        # A process that starts or stops the network checks the same lock, so do not hold it meanwhile.
        with try_exclusive(change_lock(self._home)) as mine:
            if not mine or not is_free(users_lock(self._home)):
                self._used = now
        return now - self._used


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a local Atlas network: chain, message server and agents.")
    parser.add_argument("--home", type=Path, required=True, help="the coordinator's folder, $ATLAS_HOME")
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads per task")
    parser.add_argument("--chain", default=EMBEDDED, help="the name of a network to use instead of an embedded chain")
    parser.add_argument("--ipfs", action="append", default=[], help="RPC address of a Kubo node; may be repeated")
    parser.add_argument("--replicas", type=int, default=1, help="number of Kubo nodes that each content is put to")
    parser.add_argument("--nodes", type=Path, help="YAML list of settings, one mapping per agent; overrides --agents")
    restart = os.environ.get(RESTART_VARIABLE, "1") != "0"
    parser.add_argument("--restart-agents", action=argparse.BooleanOptionalAction, default=restart)
    parser.add_argument(
        "--abandoned-seconds", type=float, default=60.0, help="stop after this many seconds without use"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
