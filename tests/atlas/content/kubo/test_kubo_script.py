"""scripts/kubo: nodes that talk to each other, to nobody else, and leave nothing behind."""

import json
import os
import platform
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from atlas.content.kubo.node import KuboNode
from atlas.errors import ContentError
from tests.support.content.kubo_nodes import SCRIPT, kubo_binary, kubo_nodes, run_script, runs, thread_states

SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n"


def test_help_names_every_command(tmp_path):
    shown = run_script("--help", home=tmp_path).stdout
    for command in ("build", "start [N]", "status", "stop", "ATLAS_KUBO_HOME"):
        assert command in shown


@pytest.mark.parametrize("arguments", [[], ["begin"], ["start", "2", "3"], ["stop", "now"]])
def test_other_words_are_refused_with_the_help(tmp_path, arguments):
    done = run_script(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert "scripts/kubo build" in done.stderr


@pytest.mark.parametrize("command", ["status", "stop"])
def test_a_folder_without_nodes_is_left_alone(tmp_path, command):
    (tmp_path / "mine").write_text("mine")
    done = run_script(command, home=tmp_path)
    assert done.returncode == 1
    assert "no nodes were started in" in done.stderr
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.kubo
class TestBuilt:
    @pytest.fixture(autouse=True)
    def built(self, kubo_is_built):
        pass

    @pytest.mark.parametrize("count", ["0", "4", "two", "-1", ""])
    def test_only_one_to_three_nodes_run(self, tmp_path, count):
        done = run_script("start", count, home=tmp_path / "home")
        assert done.returncode == 1
        assert "1 to 3 nodes" in done.stderr
        assert not (tmp_path / "home").exists()

    def test_a_folder_that_holds_something_is_not_taken(self, tmp_path):
        (tmp_path / "mine").write_text("mine")
        done = run_script("start", home=tmp_path)
        assert done.returncode == 1
        assert "is not empty" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]

    def test_nodes_run_until_they_are_stopped_and_then_nothing_is_left(self, tmp_path):
        home = tmp_path / "home"
        started = json.loads(run_script("start", "2", home=home).stdout)
        assert json.loads((home / "kubo.json").read_text()) == started
        assert stat.S_IMODE(Path(started["swarm_key"]).stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert json.loads(run_script("status", home=home).stdout) == {**started, "peers": [1, 1]}
        os.kill(started["nodes"][1]["pid"], signal.SIGSTOP)
        assert run_script("stop", home=home).returncode == 0
        assert not home.exists()
        assert not any(runs(node["pid"]) for node in started["nodes"])

    def test_stop_finds_what_a_killed_start_left(self, tmp_path):
        home = tmp_path / "home"
        starter = subprocess.Popen(
            [SCRIPT, "start", "2"], env=os.environ | {"ATLAS_KUBO_HOME": str(home)}, stdout=subprocess.DEVNULL
        )
        while not (home / "node2" / "daemon.log").exists():
            time.sleep(0.01)
        starter.kill()
        starter.wait()
        assert run_script("status", home=home).returncode == 1
        assert run_script("stop", home=home).returncode == 0
        assert not home.exists()
        assert not daemons(home)

    def test_a_dead_node_is_told_by_status(self, tmp_path):
        home = tmp_path / "home"
        (node,) = json.loads(run_script("start", home=home).stdout)["nodes"]
        os.kill(node["pid"], signal.SIGKILL)
        assert "does not answer" in run_script("status", home=home).stderr
        assert run_script("stop", home=home).returncode == 0
        assert not home.exists()

    def test_nodes_listen_on_loopback_only_and_know_no_public_one(self, kubo):
        for running in kubo.running:
            assert set(listening(running.pid)) == {"127.0.0.1"}
            settings = json.loads((running.repository / "config").read_text())
            assert not settings["Bootstrap"]
            others = {other.peer_id for other in kubo.running} - {running.peer_id}
            assert {peer["ID"] for peer in settings["Peering"]["Peers"]} == others
            for section in ("AutoTLS", "AutoConf", "HTTPRetrieval"):
                assert settings[section]["Enabled"] is False
            assert settings["Discovery"]["MDNS"]["Enabled"] is False


# The first thread ends by system call 60 (exit), which ends no other.
LEADER_ENDS = """
import ctypes, threading
threading.Thread(target=input).start()
ctypes.CDLL(None).syscall(60, 0)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_a_process_runs_until_its_last_thread_has_ended():
    process = subprocess.Popen([sys.executable, "-c", LEADER_ENDS], stdin=subprocess.PIPE)
    while "Z" not in thread_states(process.pid):
        time.sleep(0.01)
    assert runs(process.pid)
    assert alive_to_the_script(process.pid)
    process.communicate(b"\n")
    assert not runs(process.pid)
    assert not alive_to_the_script(process.pid)


def alive_to_the_script(pid: int) -> bool:
    """What scripts/kubo and scripts/localnet go by."""
    return subprocess.run(["bash", "-c", f"source {SCRIPT.with_name('processes.sh')}; alive {pid}"]).returncode == 0


@pytest.mark.kubo
@pytest.mark.parametrize("key", [SWARM_KEY + "5" * 64 + "\n", None], ids=["another swarm key", "no swarm key"])
def test_a_stranger_cannot_join_the_private_swarm(kubo, tmp_path, key):
    repository = tmp_path / "stranger"
    command = [kubo_binary(), "--repo-dir", repository]
    subprocess.run([*command, "init", "--profile=test", "--empty-repo"], check=True, capture_output=True)
    if key:
        (repository / "swarm.key").write_text(key)
    subprocess.run([*command, "config", "Routing.Type", "dht"], check=True)
    daemon = subprocess.Popen([*command, "daemon"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (repository / "api").exists():
            assert daemon.poll() is None
            time.sleep(0.05)
        for address in kubo.running[0].addresses:
            done = subprocess.run(
                [*command, "--timeout=5s", "swarm", "connect", address], capture_output=True, text=True
            )
            assert done.returncode != 0
        stranger = subprocess.run([*command, "id", "-f", "<id>"], check=True, capture_output=True, text=True).stdout
        assert all(stranger not in node.peers() for node in kubo.nodes)
    finally:
        daemon.kill()
        daemon.wait()


@pytest.mark.kubo
def test_a_node_that_was_told_to_be_private_does_not_start_without_a_key(kubo_is_built, tmp_path):
    command = [kubo_binary(), "--repo-dir", tmp_path / "node"]
    subprocess.run([*command, "init", "--profile=test", "--empty-repo"], check=True, capture_output=True)
    environment = os.environ | {"LIBP2P_FORCE_PNET": "1"}
    done = subprocess.run([*command, "daemon"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "private network" in (done.stdout + done.stderr).lower()


@pytest.mark.kubo
def test_a_node_with_authorizations_answers_those_who_have_one(kubo_is_built, tmp_path, monkeypatch):
    with kubo_nodes(tmp_path / "home", 1) as nodes:
        (running,) = nodes.running
        allowed = {"site": {"AuthSecret": "bearer:secret", "AllowedPaths": ["/api/v0"]}}
        running.ipfs("config", "--json", "API.Authorizations", json.dumps(allowed))
        running.kill()
        running = running.start_again()
        with pytest.raises(ContentError, match="ATLAS_IPFS_AUTHORIZATION"):
            KuboNode(running.rpc).identity()
        monkeypatch.setenv("ATLAS_IPFS_AUTHORIZATION", "Bearer secret")
        node = KuboNode(running.rpc)
        assert node.identity().peer_id == running.peer_id
        assert node.block(node.put_block(b"allowed")) == b"allowed"


def daemons(home: Path) -> list[str]:
    """Command lines that name a node of this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"--repo-dir {home}/" in command:
            found.append(command)
    return found


def listening(pid: int) -> list[str]:
    """The addresses that a process listens on."""
    return [link.laddr.ip for link in psutil.Process(pid).net_connections("inet") if link.status == "LISTEN"]
