"""Whatever is sent in whatever order: no coin appears or vanishes, and the contract's books balance."""

import hashlib
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_bridge.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from chain_bridge.errors import ContractRefused, InsufficientFunds
from chain_bridge.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.messages import Assignment, NodeCount, SlotAttempt
from chain_bridge.network import Network

NAMES = ("operator", "first", "second")
GENESIS = 1000
ROOT = hashlib.sha256(b"leaves").digest()

WHO = st.sampled_from(NAMES)
NODE = st.integers(1, 3)
JOB = st.integers(1, 2)
ROUND = st.integers(1, 2)
SLOT = st.integers(0, 1)
ATTEMPT = st.integers(1, 2)
ACTIONS = st.one_of(
    st.tuples(st.just("register_node"), WHO, st.integers(5, 20)),
    st.tuples(st.just("create_job"), WHO, st.integers(30, 60)),
    st.tuples(st.just("assign"), WHO, JOB, ROUND, SLOT, NODE, ATTEMPT),
    st.tuples(st.just("complete"), WHO, JOB, ROUND, SLOT, ATTEMPT),
    st.tuples(st.just("submit"), WHO, JOB, ROUND, st.lists(st.tuples(NODE, st.integers(1, 2)), max_size=2)),
    st.tuples(st.just("settle"), WHO, JOB, ROUND),
    st.tuples(st.just("close_job"), WHO, JOB),
    st.tuples(st.just("withdraw"), WHO),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)
# A round that goes well, for the others to disturb.
GOOD = [
    ("register_node", "first", 10),
    ("create_job", "operator", 40),
    ("assign", "operator", 1, 1, 0, 1, 1),
    ("assign", "operator", 1, 1, 1, 1, 1),
    ("complete", "operator", 1, 1, 0, 1),
    ("complete", "operator", 1, 1, 1, 1),
    ("submit", "operator", 1, 1, [(1, 2)]),
    ("wait", 10),
    ("settle", "second", 1, 1),
    ("withdraw", "first"),
    ("close_job", "operator", 1),
    ("withdraw", "operator"),
]


class World:
    """Three keys with coins on a chain of their own, whose clock moves by `wait`."""

    def __init__(self, chain, clock, ledgers) -> None:
        self.chain, self._clock, self.ledgers, self._jobs = chain, clock, ledgers, 0

    def act(self, action):
        """Carry out an action; False when it is refused."""
        name, *arguments = action
        if name == "wait":
            self._clock.advance(*arguments)
            return True
        ledger = self.ledgers[arguments[0]]
        try:
            self._send(ledger, name, *arguments[1:])
        except (ContractRefused, InsufficientFunds):
            return False
        return True

    def _send(self, ledger, name, *values):
        match name, values:
            case "register_node", (stake,):
                ledger.register_node("compute", 2, "bafy", stake=stake)
            case "create_job", (escrow,):
                self._jobs += 1
                ledger.create_job(f"job-{self._jobs}", "s", "d", 1, 2, 10, lease_seconds=30, escrow=escrow)
            case "assign", (job, round_, slot, node, attempt):
                ledger.assign_batch(job, round_, [Assignment(slot, node, attempt, "task")])
            case "complete", (job, round_, slot, attempt):
                ledger.complete_batch(job, round_, [SlotAttempt(slot, attempt)])
            case "submit", (job, round_, shares):
                counts = [NodeCount(node, count) for node, count in shares]
                ledger.submit_round(job, round_, ROOT, sum(count for _, count in shares), "c", "e", counts)
            case _:
                getattr(ledger, name)(*values)

    def check(self):
        ledger = self.ledgers["operator"]
        totals = ledger.totals()
        assert ledger.balance(ledger.contract) == totals.held
        held = sum(ledger.balance(other.address) for other in self.ledgers.values())
        assert held + totals.held == len(NAMES) * GENESIS
        jobs, rounds = ledger.jobs(), [ledger.round(job.id, number) for job in ledger.jobs() for number in (1, 2)]
        assert totals.escrow == sum(job.deposited - job.paid - job.refunded for job in jobs)
        assert all(job.free >= 0 for job in jobs)
        assert totals.stake == sum(node.stake for node in ledger.nodes())
        assert totals.credit == sum(ledger.credit(other.address) for other in self.ledgers.values())
        waiting = [found for found in rounds if found and found.settled_at is None]
        assert sum(job.reserved for job in jobs) == sum(10 * found.leaf_count for found in waiting)


@contextmanager
def new_world(modules, clock):
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copytree(modules, home / "modules")
        chain = Chain(home, Settings("atlas-test"), clock)
        stack.callback(chain.close)
        server = Server(chain)
        stack.callback(server.stop)
        keys = {name: load_or_create_key(home / "keys" / name, "atlas") for name in NAMES}
        for key in keys.values():
            chain.fund(key.address, GENESIS)
        network = Network(chain_id="atlas-test", url=server.url)
        contract = deploy_contract(network, keys["operator"], CONTRACT_WASM, 30, 10, min_stake=10)
        network = network.model_copy(update={"contract": contract})
        yield World(chain, clock, {name: stack.enter_context(Ledger(network, key)) for name, key in keys.items()})


def test_the_good_round_goes_well(compiled_modules, clock):
    with new_world(compiled_modules, clock) as world:
        for action in GOOD:
            assert world.act(action), action
            world.check()
        assert world.ledgers["first"].balance(world.ledgers["first"].address) == GENESIS - 10 + 20


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(disturbances=st.lists(st.tuples(st.integers(0, len(GOOD)), ACTIONS), max_size=12))
def test_books_balance_after_every_message(compiled_modules, new_clock, disturbances):
    with new_world(compiled_modules, new_clock()) as world:
        for position in range(len(GOOD) + 1):
            for action in [extra for at, extra in disturbances if at == position] + GOOD[position : position + 1]:
                world.act(action)
                world.check()
