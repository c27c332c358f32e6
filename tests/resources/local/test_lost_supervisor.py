"""The process that keeps chain and message server is killed with kill -9 while a round is in work."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest

from atlas.home import AtlasHome
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from resources.dispatch.outcomes import CompletedTask
from resources.local.network import ensure_local_network, running_network
from resources.local.network_watch import NetworkWatch
from resources.rounds.tasks import training_tasks
from resources.settings import Addresses
from tests.support.jobs.scripted_nodes import completes, works_on

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def told():
    return []


@pytest.fixture
def network_home(tmp_path):
    return AtlasHome(tmp_path / "network")


@pytest.fixture
def network(network_home, told):
    with ensure_local_network(network_home, agents=0, watch=NetworkWatch(told.append)) as network:
        yield network


@pytest.fixture
def operator(network, network_home):
    return load_or_create_key(network_home.operator_key, "atlas")


@pytest.fixture
def addresses(network, operator):
    """A contract that takes a node for alive for longer than a start of the network lasts."""
    contract = deploy_contract(network.network, operator, CONTRACT_WASM, 600, challenge_seconds=0)
    chain = network.network.model_copy(update={"contract": contract})
    return Addresses(network=chain, bus=network.bus, content=network.content)


async def test_the_round_goes_on_over_the_same_connections(
    place, paper_spec, add_node, bus, network, network_home, told
):
    job, finish = place.open(paper_spec()), asyncio.Event()

    async def waits(node, task, hint, count):
        return await (completes if finish.is_set() else works_on)(node, task, hint, count)

    nodes = [await add_node(waits), await add_node(waits)]

    async def run():
        tasks = training_tasks(job, 1, job.untrained)
        async with aclosing((await place.dispatcher(bus)).run(job, 1, tasks)) as outcomes:
            return [outcome async for outcome in outcomes]

    running = asyncio.create_task(run())
    async with asyncio.timeout(300):
        while sum(len(node.asked) for node in nodes) < 4:
            await asyncio.sleep(0.05)
        os.kill(network.pid, signal.SIGKILL)
        while len(told) < 2:
            await asyncio.sleep(0.05)
        finish.set()
        outcomes = await running
    again = running_network(network_home)
    assert again.pid != network.pid
    assert (again.network, again.bus) == (network.network, network.bus)
    assert f"process {network.pid}) ended unexpectedly" in told[0]
    assert "at the same addresses" in told[1]
    assert all(isinstance(one, CompletedTask) for one in outcomes)
    assert [(one.task.slot, one.task.attempt) for one in sorted(outcomes, key=lambda one: one.task.slot)] == [
        (slot, 1) for slot in range(4)
    ]
    assert {lease.state for lease in place.ledger.leases(job.job_id, 1)} == {"completed"}
