"""A settlement whose process is killed between every two of its steps, over a chain that is a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from chain_bridge.client.messages import Assignment, SlotAttempt
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from tests.support.paths import REPOSITORY

pytestmark = pytest.mark.slow
REWARD, SHARDS, ROUNDS = 100, 2, 40
# Three tasks of 100: 60 % for the first node's two, 40 % for the second's one.
PAY = (180, 120)
STEPS = {"together": 9, "apart": 15}


@contextmanager
def running_chain(home, genesis, port):
    """The chain of a folder as a process; killed at the end."""
    command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(home), "--port", str(port)]
    for address in genesis:
        command += ["--genesis", f"{address}=1000000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(process.stdout.readline())
        yield Network(chain_id=ready["chain_id"], url=ready["url"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Place:
    """A chain with a job whose rounds are completed, ready to be settled."""

    def __init__(self, home, keys, tmp_path) -> None:
        self.home, self.keys, self.tmp_path = home, keys, tmp_path
        self.outbox = tmp_path / "outbox.db"
        self.job = self.contract = None
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]

    @contextmanager
    def chain(self):
        with running_chain(self.home, [key.address for key in self.keys.values()], self.port) as network:
            if self.contract is None:
                self.contract = deploy_contract(network, self.keys["operator"], CONTRACT_WASM, 3600, 0)
            self.network = network.model_copy(update={"contract": self.contract})
            if self.job is None:
                self.set_up()
            yield

    def set_up(self):
        self.nodes = []
        for name in ("first", "second"):
            with self.ledger(name) as ledger:
                self.nodes.append(ledger.register_node("compute", 4 * ROUNDS, "bafy"))
        with self.ledger("operator") as ledger:
            ledger.register_node("compute", 1, "bafy")
            escrow = REWARD * (SHARDS + 1) * ROUNDS
            self.job = ledger.create_job("job", "spec", "data", SHARDS, ROUNDS, REWARD, 3600, escrow)

    def ledger(self, name):
        return Ledger(self.network, self.keys[name])

    def complete(self, round_):
        """Bring a round to where it can be settled."""
        with self.ledger("operator") as ledger:
            first, second = self.nodes
            items = [Assignment(0, first, 1), Assignment(1, first, 1), Assignment(2, second, 1)]
            ledger.assign_batch(self.job, round_, "plan", items)
            ledger.complete_batch(self.job, round_, [SlotAttempt(slot, 1) for slot in range(3)])

    def start(self, round_, manner="together", dies_at=0):
        """Begin a settlement in a process."""
        arguments = [self.network.model_dump_json(), self.tmp_path / "keys" / "operator.key", self.outbox, self.job]
        arguments += [round_, *self.nodes, manner, dies_at]
        command = [sys.executable, "-m", "tests.support.chain.settling", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def settle(self, round_, manner="together", dies_at=0):
        """Settle in a process; how many steps it made, or None when it died."""
        process = self.start(round_, manner, dies_at)
        printed, _ = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            return None
        assert process.returncode == 0
        return int(printed)

    def check(self, rounds):
        """Every node is credited exactly once for each of these rounds, and a message that the contract would take
        twice, one unit of stake per round, happened once.
        """
        with self.ledger("operator") as ledger:
            assert [one.round for one in ledger.rounds(self.job)] == list(rounds)
            assert all(one.settled_at is not None for one in ledger.rounds(self.job))
            credits_ = [ledger.credit(self.keys[name].address) for name in ("first", "second")]
            assert credits_ == [pay * len(rounds) for pay in PAY]
            assert ledger.node_of(ledger.address).stake == len(rounds)
            totals = ledger.totals()
            assert totals.credit == sum(credits_)
            assert ledger.balance(ledger.contract) == totals.held


@pytest.fixture
def place(chain_home, new_key, tmp_path):
    return Place(chain_home, {name: new_key(name) for name in ("operator", "first", "second")}, tmp_path)


@pytest.mark.parametrize("manner", ["together", "apart"])
def test_a_kill_between_any_two_steps_credits_once(place, manner):
    with place.chain():
        place.complete(1)
        assert place.settle(1, manner) == STEPS[manner]
        rounds = range(1, 2)
        for dies_at in range(1, STEPS[manner] + 1):
            rounds = range(1, rounds.stop + 1)
            place.complete(rounds[-1])
            assert place.settle(rounds[-1], manner, dies_at) is None
            assert place.settle(rounds[-1], manner) is not None
            place.check(rounds)


def test_a_process_that_dies_one_step_later_each_time_gets_there(place):
    with place.chain():
        place.complete(1)
        lives = 1
        while place.settle(1, "apart", dies_at=lives) is None:
            lives += 1
            assert lives < 20
        assert lives > 3
        place.check(range(1, 2))


@pytest.mark.parametrize("dies_at", [6, 7, 8])
def test_the_chain_dies_as_well(place, dies_at):
    """Right before and after the transaction is handed over, and once it is in a block."""
    with place.chain():
        place.complete(1)
        assert place.settle(1, dies_at=dies_at) is None
    with place.chain():
        assert place.settle(1) is not None
        place.check(range(1, 2))


def test_a_chain_that_is_away_delays_a_settlement(place):
    with place.chain():
        place.complete(1)
    waiting = place.start(1)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.communicate(timeout=3)
    with place.chain():
        waiting.communicate(timeout=120)
        assert waiting.returncode == 0
        place.check(range(1, 2))


def test_two_processes_with_one_key_settle_once(place):
    with place.chain():
        for round_ in (1, 2, 3):
            place.complete(round_)
        processes = [place.start(round_, "apart") for round_ in (1, 2, 3, 1, 2, 3)]
        for process in processes:
            process.communicate(timeout=120)
        assert [process.returncode for process in processes] == [0] * 6
        place.check(range(1, 4))
