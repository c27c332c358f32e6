"""The chain as a process of its own: started, stopped, killed."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract

# Each test starts servers of its own.
pytestmark = pytest.mark.slow

GENESIS = 10**9
BEATS = """
import sys
from pathlib import Path
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.client.network import Network
with Ledger(Network.model_validate_json(sys.argv[1]), load_or_create_key(Path(sys.argv[2]), "atlas")) as ledger:
    ledger.register_node("compute", 2, "bafy")
    print(len({ledger.heartbeat().hash for _ in range(15)}))
"""


def launch(home, *arguments):
    command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(home), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running(home, key, contract=None):
    """The chain of a folder as a process, and the network that reaches it; killed at the end if it still runs."""
    process = launch(home, "--genesis", f"{key.address}={GENESIS}")
    try:
        ready = json.loads(process.stdout.readline())
        assert ready["chain_id"] == "atlas-local"
        yield process, Network(chain_id=ready["chain_id"], url=ready["url"], contract=contract)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def key(new_key):
    return new_key("operator")


def create_job(ledger, name):
    return ledger.create_job(name, "spec", "data", 1, 1, reward=50, lease_seconds=60, escrow=100)


def test_the_process_keeps_its_state_and_grants_once(chain_home, key):
    with running(chain_home, key) as (process, network):
        contract = deploy_contract(network, key, CONTRACT_WASM, 60, 0)
        with Ledger(network.model_copy(update={"contract": contract}), key) as ledger:
            create_job(ledger, "job")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert not (chain_home / "chain.db-wal").exists(), "a clean stop folds the log into the database"
    with running(chain_home, key, contract) as (_, network), Ledger(network, key) as ledger:
        assert ledger.job_of(key.address, "job").deposited == 100
        assert ledger.balance(key.address) == GENESIS - 100


def test_a_second_process_on_the_folder_is_refused(chain_home, key):
    with running(chain_home, key):
        second = launch(chain_home)
        _, complaint = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "Another process runs the chain" in complaint


def test_bad_arguments_are_refused(chain_home):
    for genesis, complaint in (("atlas1x=many", "is not ADDRESS=AMOUNT"), ("nobody=5", "invalid address")):
        process = launch(chain_home, "--genesis", genesis)
        assert complaint in process.communicate(timeout=60)[1]
        assert process.returncode != 0


def test_two_processes_send_at_once(chain_home, key, tmp_path):
    with running(chain_home, key) as (_, network):
        contract = deploy_contract(network, key, CONTRACT_WASM, 60, 0)
        network = network.model_copy(update={"contract": contract})
        clients = [
            subprocess.Popen(
                [sys.executable, "-c", BEATS, network.model_dump_json(), str(tmp_path / name)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in ("first.key", "second.key")
        ]
        assert [client.communicate(timeout=120)[0].strip() for client in clients] == ["15", "15"]
        with Ledger(network) as ledger:
            assert len({node.owner for node in ledger.nodes()}) == 2
            assert ledger.height() == 2 + 2 * 16


def test_what_was_acknowledged_survives_kill_9(chain_home, key):
    """Killed in the middle of writing, again and again: the state is that of a whole prefix of the transactions."""
    with running(chain_home, key) as (_, network):
        contract = deploy_contract(network, key, CONTRACT_WASM, 60, 0)
    acknowledged = []
    for life in range(6):
        with running(chain_home, key, contract) as (process, network):
            with Ledger(network, key, timeout_seconds=5, inclusion_seconds=0.2) as ledger:
                check(ledger, acknowledged)
                acknowledged.append(create_job(ledger, f"{life}-{len(acknowledged)}"))
                # A different moment of a later transaction's life each time.
                executioner = threading.Timer(0.3 + life * 0.0371, process.kill)
                executioner.start()
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline:
                    try:
                        acknowledged.append(create_job(ledger, f"{life}-{len(acknowledged)}"))
                    except ChainUnreachable:
                        break
                executioner.join()
            assert process.wait(timeout=30) == -signal.SIGKILL
    with running(chain_home, key, contract) as (_, network), Ledger(network, key) as ledger:
        check(ledger, acknowledged)
        assert len(acknowledged) >= 6
        create_job(ledger, "after")


def check(ledger, acknowledged):
    jobs = ledger.jobs()
    assert [job.id for job in jobs] == list(range(1, len(jobs) + 1))
    assert set(acknowledged) <= {job.id for job in jobs}
    assert ledger.totals().held == ledger.balance(ledger.contract) == 100 * len(jobs)
    assert ledger.balance(ledger.address) == GENESIS - 100 * len(jobs)
    assert ledger.height() == 2 + len(jobs), "deployment, and one block per job"
