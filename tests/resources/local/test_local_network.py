"""The local network comes up, is shared, survives deaths and goes away with its last user."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import wasmtime
import yaml
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract, MsgStoreCode

from atlas.disk.locks import shared
from atlas.home import AtlasHome
from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.sender import Sender
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from resources.errors import LocalNetworkError
from resources.local.contract import ensure_contract, record_embedded_contract
from resources.local.deployments import bare_network, networks_file, record_deployment
from resources.local.network import (
    child_environment,
    ensure_local_network,
    running_network,
    supervisor_command,
    users_lock,
)
from resources.local.network_file import LocalNetwork
from resources.local.network_watch import NetworkWatch
from resources.local.parts import LocalParts
from tests.support.paths import PUPPET

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HEARTBEAT_SECONDS", "6")
    yield AtlasHome(tmp_path / "atlas")
    for process in processes(tmp_path):
        process.kill()


def processes(folder: Path) -> list[psutil.Process]:
    """Everything that was started for a folder and still runs."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.append(process)
    return found


def eventually(condition, seconds: float = 60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChainUnreachable):
            if value := condition():
                return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain")


def children(network: LocalNetwork) -> list[psutil.Process]:
    return psutil.Process(network.pid).children()


def child(network: LocalNetwork, word: str) -> psutil.Process:
    return next(process for process in children(network) if any(word in part for part in process.cmdline()))


def test_it_comes_up_with_its_agents_and_goes_away_with_its_last_user(home):
    with ensure_local_network(home) as network:
        with Ledger(network.network) as ledger:
            assert ledger.config().heartbeat_seconds == 6
            nodes = ledger.nodes()
        assert [node.id for node in nodes] == [1, 2]
        assert len(children(network)) == 4
        with ensure_local_network(home) as second:
            assert second == network
        assert running_network(home) == network
    assert running_network(home) is None
    assert not home.network_file.exists()
    assert processes(home.root) == []


def test_a_second_start_finds_the_same_chain_and_nodes(home):
    seen = []
    for _ in range(2):
        with ensure_local_network(home, agents=1) as network, Ledger(network.network) as ledger:
            seen.append((network.network.contract, [(node.id, node.owner) for node in ledger.nodes()]))
    assert seen[0] == seen[1]


def test_users_in_other_processes_share_it_and_one_that_is_killed_does_not_keep_it(home):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom atlas.home import AtlasHome\n"
        "from resources.local.network import ensure_local_network\n"
        "with ensure_local_network(AtlasHome(Path(sys.argv[1])), agents=1) as network:\n"
        "    print(network.pid, flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(home.root)]
    users = [subprocess.Popen(command, stdout=subprocess.PIPE, env=child_environment()) for _ in range(3)]
    pids = {int(user.stdout.readline()) for user in users}
    assert len(pids) == 1
    for user in users:
        user.kill()
        user.communicate()
    with ensure_local_network(home, agents=1) as network:
        assert {network.pid} == pids
    eventually(lambda: not psutil.pid_exists(network.pid))
    assert processes(home.root) == []


def test_an_abandoned_network_stops_by_itself(home):
    with shared(users_lock(home)):
        command = [*supervisor_command(home, 1, 1, True), "--abandoned-seconds", "1"]
        supervisor = subprocess.Popen(command, env=child_environment())
        network = eventually(lambda: running_network(home))
        time.sleep(2.5)
        assert network.alive
    assert supervisor.wait(timeout=30) == 0
    assert processes(home.root) == []


def test_nothing_outlives_a_killed_supervisor_and_its_users_start_another_at_the_same_addresses(home):
    told = []
    with ensure_local_network(home, agents=1, watch=NetworkWatch(told.append)) as network:
        parts = children(network)
        with Ledger(network.network) as ledger:
            before = ledger.height()
            os.kill(network.pid, signal.SIGKILL)
            psutil.wait_procs(parts, timeout=10)
            assert [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE] == []
            again = eventually(lambda: running_network(home))
            assert again.pid != network.pid
            assert (again.network, again.bus) == (network.network, network.bus)
            assert ledger.height() >= before, "the same connection goes on"
            assert [node.id for node in ledger.nodes()] == [1]
        eventually(lambda: len(told) == 2)
        assert f"process {network.pid}) ended unexpectedly" in told[0]
        assert "runs again at the same addresses" in told[1]
    assert processes(home.root) == []


def test_a_node_with_a_damaged_journal_or_key_is_reported_and_the_others_work(home):
    with ensure_local_network(home, agents=3):
        pass
    (home.nodes / "node-1" / "journal.db").write_bytes(b"noise" * 1000)
    (home.nodes / "node-3" / "node.key").write_text("no words of a key")
    told = []
    with ensure_local_network(home, agents=3, watch=NetworkWatch(told.append)) as network:
        assert sorted(network.not_started) == ["node-1", "node-3"]
        journal, key = (next(line for line in told if line.startswith(name)) for name in ("node-1", "node-3"))
        assert "node-1/journal.db" in journal
        assert "file is not a database" in journal
        assert "node-3/node.key does not hold the 24 words" in key
        with Ledger(network.network) as ledger:
            before = ledger.node(2).last_seen
            eventually(lambda: ledger.node(2).last_seen > before)
        for path in (home.nodes / "node-1").glob("journal.db*"):
            path.unlink()
        eventually(lambda: child_or_none(network, "node-1", 0))
        with Ledger(network.network) as ledger:
            eventually(lambda: ledger.node(1).last_seen > before)


def test_without_any_node_that_starts_the_reason_is_told(home):
    with ensure_local_network(home, agents=1):
        pass
    (home.nodes / "node-1" / "journal.db").write_bytes(b"noise" * 1000)
    told = pytest.raises(LocalNetworkError, match=r"(?s)No node started.*journal\.db .*is damaged")
    with told, ensure_local_network(home, agents=1):
        pass
    assert processes(home.root) == []


def test_a_part_that_dies_is_started_again_at_the_same_address(home):
    with ensure_local_network(home, agents=1) as network, Ledger(network.network) as ledger:
        for word in ("chain_bridge.embedded", "nats-server", "node_agent"):
            dead = child(network, word)
            dead.kill()
            psutil.wait_procs([dead], timeout=10)
            eventually(lambda word=word, dead=dead: child_or_none(network, word, dead.pid))
        before = eventually(lambda: ledger.node(1).last_seen)
        eventually(lambda: ledger.node(1).last_seen > before)


def child_or_none(network: LocalNetwork, word: str, not_pid: int) -> psutil.Process | None:
    for process in children(network):
        with contextlib.suppress(psutil.Error):
            if process.pid != not_pid and any(word in part for part in process.cmdline()):
                return process
    return None


def test_agents_stay_dead_where_a_test_asks_for_it(home):
    with ensure_local_network(home, agents=2, restart_agents=False) as network:
        dead = child(network, "node-1")
        dead.kill()
        psutil.wait_procs([dead], timeout=10)
        time.sleep(2)
        assert child_or_none(network, "node-1", dead.pid) is None
        assert child(network, "node-2").is_running()


def test_what_does_not_start_is_told_with_its_log(home, monkeypatch):
    monkeypatch.setenv("ATLAS_HEARTBEAT_SECONDS", "soon")
    wanted = "ATLAS_HEARTBEAT_SECONDS must be a whole number"
    with pytest.raises(LocalNetworkError, match=wanted), ensure_local_network(home):
        pass
    assert processes(home.root) == []


def test_a_child_that_does_not_start_is_told_with_the_end_of_its_log(home):
    home.chain.mkdir(parents=True)
    (home.chain / "chain.db").write_bytes(b"this is no database, and long enough to be taken for one" * 100)
    wanted = r"chain ended with exit status 1 .* The end of"
    with pytest.raises(LocalNetworkError, match=wanted), ensure_local_network(home):
        pass
    assert processes(home.root) == []


def test_a_network_file_of_a_dead_process_is_ignored(home):
    home.root.mkdir(parents=True)
    with ensure_local_network(home, agents=1) as network:
        stale = home.network_file.read_text()
    home.network_file.write_text(stale)
    assert running_network(home) is None
    with ensure_local_network(home, agents=1) as again:
        assert again.pid != network.pid


@pytest.fixture
def own_chain(home, tmp_path):
    """A chain that asks for fees, named in the file of networks as `mine`, with a contract that asks for a stake."""
    operator = load_or_create_key(home.operator_key, "mine")
    command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(tmp_path / "own"), "--chain-id", "mine-1"]
    command += [
        "--prefix",
        "mine",
        "--denom",
        "umine",
        "--gas-price",
        "0.025",
        "--genesis",
        f"{operator.address}=1000000000",
    ]
    chain = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment())
    mine = {"chain_id": "mine-1", "url": json.loads(chain.stdout.readline())["url"], "denom": "umine"}
    networks_file(home).write_text(yaml.safe_dump({"mine": {**mine, "prefix": "mine", "gas_price": 0.025}}))
    network = bare_network(home, "mine", {})
    yield network, operator
    chain.kill()
    chain.wait()
    chain.stdout.close()


def test_it_runs_on_a_chain_elsewhere_whose_fees_the_operator_pays(home, own_chain):
    network, operator = own_chain
    with pytest.raises(LocalNetworkError, match="atlas chain deploy --network mine"), on_chain(home, "mine"):
        pass
    contract = deploy_contract(network, operator, CONTRACT_WASM, 6, challenge_seconds=0, min_stake=700)
    record_deployment(home, "mine", network.model_copy(update={"contract": contract}))
    owners = []
    for _ in range(2):
        with on_chain(home, "mine") as used, Ledger(used.network) as ledger:
            assert (used.chain, used.network.contract) == ("mine", contract)
            assert len(children(used)) == 2, "a message server and an agent"
            [node] = ledger.nodes()
            assert node.stake == 700
            before = eventually(lambda: ledger.node(1).last_seen)
            eventually(lambda ledger=ledger, before=before: ledger.node(1).last_seen > before)
            assert ledger.balance(node.owner) == 0
            owners.append(node.owner)
            with (
                pytest.raises(LocalNetworkError, match="runs on the chain mine, not on embedded"),
                on_chain(home, "embedded"),
            ):
                pass
    assert owners[0] == owners[1]
    assert processes(home.root) == []


def on_chain(home, name):
    return ensure_local_network(home, agents=1, chain=name)


def test_a_contract_of_an_older_program_makes_way_for_a_new_one(home):
    parts = LocalParts(home, agents=0, threads=1)
    try:
        first = parts.start().network
        operator = load_or_create_key(home.operator_key, first.prefix)
        assert ensure_contract(home, first, operator).contract == first.contract
        record_embedded_contract(home, puppet(first, operator, '{"contract": "atlas-pipelines", "version": "0.1.0"}'))
        second = ensure_contract(home, first, operator)
        assert second.contract not in (first.contract, None)
        with Ledger(second) as ledger:
            assert ledger.config().heartbeat_seconds == 6
        assert ensure_contract(home, first, operator).contract == second.contract
    finally:
        parts.stop()


def puppet(network, key, info: str) -> str:
    """A contract that says of itself what `info` says; see puppet.wat."""
    code = wasmtime.wat2wasm(PUPPET.read_text())
    connection = Connection(network, 15)
    sender = Sender(connection, key, 15)
    sender.send([MsgStoreCode(sender=key.address, wasm_byte_code=bytes(code))])
    made = MsgInstantiateContract(sender=key.address, code_id=2, label="old", msg=f"\n{info}".encode())
    events = sender.send([made]).events
    connection.close()
    return next(
        item.value for event in events for item in event.attributes
        if event.type == "instantiate" and item.key == "_contract_address"
    )  # fmt: skip
