"""The follower against a real chain: what happened is in the copy, once, whatever happens to either of them."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.facade.server import Server
from chain_bridge.errors import ChainUnreachable
from chain_bridge.follower.follower import Follower
from chain_bridge.follower.read_model import ReadModel
from chain_bridge.ledger import Ledger
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.networks.faucet import send_coins

# Each test starts servers of its own.
pytestmark = pytest.mark.slow

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
REWARD = 100


@pytest.fixture
def model(tmp_path):
    with ReadModel(tmp_path / "model.db") as model:
        yield model


@pytest.fixture
def follower(network, model):
    with Follower(network, model) as follower:
        yield follower


@pytest.fixture
def challenged(clock):
    """Lets the time pass in which a round can be disputed."""
    return lambda: clock.advance(11)


@pytest.fixture
def nodes(open_ledger):
    """Two registered machines."""
    ledgers = [open_ledger("first"), open_ledger("second")]
    for ledger in ledgers:
        ledger.register_node("compute", 4, CID)
    return ledgers


def run_round(operator, wait, key="job"):
    """One round of one shard and its evaluation, by nodes 1 and 2, settled after `wait()`; the job."""
    job = operator.create_job(key, CID, CID, 1, 2, REWARD, lease_seconds=600, escrow=4 * REWARD)
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 1), Assignment(1, 2, 1)])
    operator.complete_batch(job, 1, [SlotAttempt(0, 1), SlotAttempt(1, 1)])
    shares = [Share(1, 1, 7_500), Share(2, 1, 2_500)]
    operator.submit_round(job, 1, hashlib.sha256(b"leaf").digest(), 2, CID, CID, shares)
    wait()
    operator.settle(job, 1)
    return job


def contents(model):
    return model.nodes(), model.jobs(), model.rounds(), model.models(), model.payouts()


def on_chain(ledger):
    jobs = ledger.jobs()
    rounds = [one for job in jobs for number in range(1, job.rounds + 1) if (one := ledger.round(job.id, number))]
    return ledger.nodes(), jobs, rounds, ledger.models()


def test_the_copy_is_what_the_chain_answers_and_knows_the_payouts(operator, nodes, challenged, follower, model):
    first, second = nodes
    job = run_round(operator, challenged)
    operator.register_model("m", 1, CID, job)
    first.withdraw()
    operator.withdraw_for([second.address])
    progress = follower.catch_up()
    assert (progress.height, progress.rebuilt) == (operator.height(), False)
    assert progress.events > 0
    assert contents(model)[:4] == on_chain(operator)
    assert [(one.kind, one.address, one.amount, one.node, one.round) for one in model.payouts()] == [
        ("credit", first.address, 150, 1, 1),
        ("credit", second.address, 50, 2, 1),
        ("withdrawal", first.address, 150, None, None),
        ("withdrawal", second.address, 50, None, None),
    ]


def test_nothing_new_changes_nothing_and_what_is_new_is_added(operator, nodes, challenged, follower, model):
    follower.catch_up()
    before = contents(model)
    assert follower.catch_up().events == 0
    assert contents(model) == before
    job = run_round(operator, challenged)
    nodes[0].heartbeat()
    assert follower.catch_up().events > 0
    assert contents(model)[:4] == on_chain(operator)
    operator.register_model("m", 1, CID, job)
    operator.register_model("m", 2, CID, job)
    operator.promote_model("m", 1)
    operator.promote_model("m", 2)
    follower.catch_up()
    assert [found.status for found in model.models()] == ["registered", "promoted"]
    assert len(model.payouts()) == 2


def test_a_round_that_is_taken_back_leaves_the_copy(operator, nodes, challenged, follower, model):
    job = operator.create_job("job", CID, CID, 1, 2, REWARD, lease_seconds=600, escrow=4 * REWARD)
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 1)])
    operator.complete_batch(job, 1, [SlotAttempt(0, 1)])
    operator.submit_round(job, 1, bytes(32), 1, CID, CID, [Share(1, 1, 10_000)])
    follower.catch_up()
    assert [one.round for one in model.rounds()] == [1]
    operator.rollback_round(job, 1)
    follower.catch_up()
    assert model.rounds() == []


@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_small_pages_bring_the_same(operator, nodes, challenged, network, follower, model, tmp_path, page):
    run_round(operator, challenged)
    follower.catch_up()
    with ReadModel(tmp_path / "small.db") as small, Follower(network, small, page=page) as slow:
        assert slow.catch_up().events > 0
        assert contents(small) == contents(model)
        assert small.cursor() == model.cursor()


def test_a_chain_that_is_down_keeps_the_copy(operator, nodes, network, server, follower, model):
    follower.catch_up()
    before = contents(model), model.cursor()
    server.stop()
    with pytest.raises(ChainUnreachable):
        follower.catch_up()
    assert (contents(model), model.cursor()) == before


@pytest.mark.parametrize("longer", [False, True], ids=["shorter", "longer"])
def test_a_chain_that_was_reset_is_read_anew(
    operator,
    nodes,
    challenged,
    network,
    follower,
    model,
    server,
    tmp_path,
    compiled_modules,
    new_clock,
    new_key,
    longer,
):
    """Same chain id, same address of the contract, other history."""
    run_round(operator, challenged)
    follower.catch_up()
    server.stop()
    later = new_clock()
    later.advance(1_000_000)
    chain = Chain(tmp_path / "reset", Settings("atlas-test"), later)
    again = Server(chain, server.port)
    try:
        chain.fund(new_key("operator").address, 10**12)
        assert deploy_contract(network, new_key("operator"), CONTRACT_WASM, 60, 10) == network.contract
        with Ledger(network, new_key("second")) as ledger:
            ledger.register_node("compute", 3, CID)
            for _ in range(20 if longer else 0):
                ledger.heartbeat()
            progress = follower.catch_up()
            assert progress.rebuilt
            assert contents(model) == (*on_chain(ledger), [])
            assert [node.capacity for node in model.nodes()] == [3]
    finally:
        again.stop()
        chain.close()


FOLLOW = """
import sys
from pathlib import Path
from chain_bridge.follower.follower import Follower
from chain_bridge.client.network import Network
from chain_bridge.follower.read_model import ReadModel
with ReadModel(Path(sys.argv[2])) as model:
    while True:
        with Follower(Network.model_validate_json(sys.argv[1]), model, page=2) as follower:
            follower.catch_up()
        print("passed", flush=True)
"""


def test_followers_that_are_killed_leave_a_copy_that_goes_on(operator, nodes, challenged, network, model, tmp_path):
    command = [sys.executable, "-c", FOLLOW, network.model_dump_json(), str(tmp_path / "model.db")]
    for number in range(6):
        children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        for child in children:
            assert child.stdout.readline() == b"passed\n"
        run_round(operator, challenged, f"job-{number}")
        for node in nodes:
            node.heartbeat()
        time.sleep(0.03 * number)
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
    with Follower(network, model) as follower:
        follower.catch_up()
    assert contents(model)[:4] == on_chain(operator)
    credited = [(one.job, one.node) for one in model.payouts() if one.kind == "credit"]
    assert credited == [(job.id, node) for job in operator.jobs() for node in (1, 2)]
    with ReadModel(tmp_path / "fresh.db") as fresh, Follower(network, fresh) as follower:
        follower.catch_up()
        assert contents(fresh) == contents(model)


@pytest.mark.wasmd
def test_a_real_node_is_followed_as_well(tmp_path, model, localnet):
    network, funded = localnet
    keys = [load_or_create_key(tmp_path / name / "a.key", network.prefix) for name in ("operator", "first", "second")]
    send_coins(network, funded, {key.address: 10**9 for key in keys})
    contract = deploy_contract(network, keys[0], CONTRACT_WASM, heartbeat_seconds=60, challenge_seconds=0)
    network = network.model_copy(update={"contract": contract})
    with ExitStack() as stack:
        operator, first, second = (stack.enter_context(Ledger(network, key)) for key in keys)
        first.register_node("compute", 4, CID, public_key=keys[1].public_key)
        second.register_node("compute", 4, CID)
        follower = stack.enter_context(Follower(network, model, page=3))
        follower.catch_up()
        run_round(operator, lambda: None)
        operator.withdraw_for([first.address, second.address])
        deadline = time.monotonic() + 30  # the node's index may come after its blocks
        while len(model.payouts()) < 4 and time.monotonic() < deadline:
            follower.catch_up()
        assert contents(model)[:4] == on_chain(operator)
        assert [(one.kind, one.address, one.amount) for one in model.payouts()] == [
            ("credit", first.address, 150),
            ("credit", second.address, 50),
            ("withdrawal", first.address, 150),
            ("withdrawal", second.address, 50),
        ]
        assert follower.catch_up().events == 0
