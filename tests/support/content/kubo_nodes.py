"""Real IPFS nodes for tests: started and stopped by scripts/kubo, killed and started again by the tests."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.content.kubo.node import KuboNode
from tests.support.paths import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "kubo"


def kubo_binary() -> Path | None:
    """The Kubo that scripts/kubo built, if it did."""
    return next(iter(sorted(REPOSITORY.glob(".tools/kubo-*/ipfs"))), None)


def run_script(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ATLAS_KUBO_HOME": str(home)}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True)


@dataclass(frozen=True)
class RunningNode:
    """One node as scripts/kubo describes it, and what may happen to it."""

    rpc: str
    gateway: str
    peer_id: str
    addresses: list[str]
    repository: Path
    pid: int

    @property
    def client(self) -> KuboNode:
        return KuboNode(self.rpc)

    @property
    def alive(self) -> bool:
        """Whether it runs, or would if it were not stopped."""
        return runs(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal; after SIGSTOP, return when every thread has stopped: until then the node may answer."""
        os.kill(self.pid, number)
        while number == signal.SIGSTOP and set(thread_states(self.pid)) != {"T"}:
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut does, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        while self.alive:
            time.sleep(0.02)

    def ipfs(self, *arguments: str | Path, **options) -> str:
        """What the ipfs program prints that talks to this node."""
        command = [kubo_binary(), "--repo-dir", self.repository, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.strip()

    def start_again(self) -> "RunningNode":
        """Start it on the same ports after `kill`; returns when it answers."""
        log = self.repository / "daemon.log"
        log.unlink()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [kubo_binary(), "--repo-dir", self.repository, "daemon"],
                env=os.environ | {"LIBP2P_FORCE_PNET": "1", "IPFS_TELEMETRY": "off"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        while "\nDaemon is ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        return replace(self, pid=process.pid)


@dataclass(frozen=True)
class KuboNodes:
    """Nodes in one private swarm, connected with each other."""

    home: Path
    swarm_key: Path
    running: list[RunningNode]

    @property
    def nodes(self) -> list[KuboNode]:
        return [node.client for node in self.running]

    @property
    def urls(self) -> list[str]:
        """RPC addresses, http://127.0.0.1:PORT."""
        return [node.rpc for node in self.running]

    @property
    def gateways(self) -> list[str]:
        """HTTP gateways, http://127.0.0.1:PORT."""
        return [node.gateway for node in self.running]


@contextmanager
def kubo_nodes(home: Path, count: int) -> Iterator[KuboNodes]:
    """Nodes of one's own, in a folder that is not there yet; ended and removed at the end."""
    started = run_script("start", str(count), home=home)
    assert started.returncode == 0, started.stderr
    try:
        description = json.loads(started.stdout)
        running = [RunningNode(**{**node, "repository": Path(node["repository"])}) for node in description["nodes"]]
        yield KuboNodes(home, Path(description["swarm_key"]), running)
    finally:
        stopped = run_script("stop", home=home)
        assert stopped.returncode == 0, stopped.stderr


def runs(pid: int) -> bool:
    """Whether a thread of a process runs; its first one may end, a zombie then, before the others let go of files."""
    return any(state not in "ZX" for state in thread_states(pid))


def thread_states(pid: int) -> Iterator[str]:
    """How each thread of a process is, a letter each as in proc(5); none of a process that is not there."""
    for status in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield status.read_text().rpartition(")")[2].split()[0]
