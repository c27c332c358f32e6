"""Whatever the nodes do, each task ends once, and the chain pays for exactly the results that came."""

import asyncio
import contextlib
import os
import random
import signal
import time
from contextlib import aclosing

import pytest

from atlas.content.local.store import LocalStore
from atlas.home import AtlasHome
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import SlotAttempt
from chain_bridge.errors import ChainUnreachable, ContractRefused
from chain_bridge.ledger import Ledger
from node_agent.wire.bus import Bus
from resources.dispatch.dispatcher import Dispatcher, DispatchSettings
from resources.dispatch.leased_tasks import leased_tasks
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.open_job import open_job
from resources.jobs.registry import JobRegistry
from resources.local.parts import LocalParts
from resources.local.restarts import Restarter
from resources.operator_ledger import open_ledger
from resources.rounds.tasks import training_tasks
from tests.support.jobs.scripted_nodes import (
    HEARTBEAT_SECONDS,
    PaperAdapters,
    ScriptedNode,
    adapter_bytes,
    completes,
    fails,
    works_on,
)


async def collect(running) -> list:
    async with aclosing(running) as outcomes:
        return [outcome async for outcome in outcomes]


def whims(seed: int):
    """A behaviour that does something else, by chance, whenever it is asked."""
    chance = random.Random(seed)

    async def behave(node, task, hint, count):
        match chance.randrange(8):
            case 0:
                return await fails(node, task, hint, count)
            case 1:
                return node.report(task, "paused")
            case 2:
                return node.report(task, "completed")
            case 3:
                return node.completed(task, adapter_bytes(task.slot, broken=True))
            case 4:
                return None
            case 5:
                return node.completed(task.model_copy(update={"attempt": task.attempt + 1}))
            case 6:
                await asyncio.to_thread(give_back, node, hint)
                return node.report(task, "failed", error="given back")
            case _:
                return node.completed(task)

    return behave


def give_back(node, hint) -> None:
    with contextlib.suppress(ContractRefused):  # it may be taken away already
        node.ledger.release_batch(hint.job_id, hint.round, [SlotAttempt(hint.slot, hint.attempt)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_nodes_of_every_kind_of_whim_leave_the_books_straight(place, paper_spec, add_node, bus, seed):
    job = place.open(paper_spec(fleet={"max_attempts": 6}))
    nodes = [await add_node(whims(10 * seed + number)) for number in range(3)]
    tasks = training_tasks(job, 1, job.untrained)
    dispatcher = await place.dispatcher(bus, answer_seconds=0.3)
    gate = place.round(job, 1).gate()
    outcomes = await collect(dispatcher.run(job, 1, tasks, check=gate))

    assert sorted(one.task.slot for one in outcomes) == [0, 1, 2, 3]
    completed = {one.task.slot: one for one in outcomes if isinstance(one, CompletedTask)}
    leases = {lease.slot: lease for lease in place.ledger.leases(job.job_id, 1)}
    assert {slot for slot, lease in leases.items() if lease.state == "completed"} == set(completed)
    tasks_on_chain = leased_tasks(job.round(1), leases.values(), place.store)
    for slot, one in completed.items():
        assert (leases[slot].attempt, leases[slot].node) == (one.task.attempt, one.node_id)
        assert tasks_on_chain[slot] == one.task_cid
        assert place.store.read(one.result) == adapter_bytes(slot)
    rows = {one.slot: one for one in place.registry.attempts(job.round(1)) if one.state == "completed"}
    assert {slot: row.receipt_cid for slot, row in rows.items()} == {
        slot: one.receipt_cid for slot, one in completed.items()
    }
    if completed:
        manifest = place.round(job, 1).build_manifest(completed.values())
        settled = place.round(job, 1).settle(place.round(job, 1).aggregate(manifest).cid)
        assert settled.leaf_count == len(completed)
        credited = sum(place.ledger.credit(node.key.address) for node in nodes)
        assert credited == len(completed) * job.spec.payment.reward_per_task
    totals = place.ledger.totals()
    assert totals.held == place.ledger.balance(place.ledger.contract)


async def test_two_coordinators_of_one_operator_do_the_work_once(place, paper_spec, add_node, addresses, operator, bus):
    job = place.open(paper_spec())
    nodes = [await add_node(), await add_node()]
    tasks = training_tasks(job, 1, job.untrained)
    second_bus = await Bus.connect(addresses.bus, operator)
    with open_ledger(place.home, addresses.network, operator) as second_ledger:
        settings = DispatchSettings(poll_seconds=0.1)
        second = Dispatcher(second_ledger, second_bus, place.store, place.registry, settings=settings)
        first = await place.dispatcher(bus)
        both = await asyncio.gather(collect(first.run(job, 1, tasks)), collect(second.run(job, 1, tasks)))
    await second_bus.close()
    receipts = [{one.task.slot: one.receipt_cid for one in outcomes} for outcomes in both]
    assert receipts[0] == receipts[1]
    assert len(receipts[0]) == 4
    assert sum(len(node.asked) for node in nodes) == 4
    assert {lease.attempt for lease in place.ledger.leases(job.job_id, 1)} == {1}


@pytest.mark.slow
async def test_a_chain_that_is_away_for_a_while_delays_payment_not_training(tmp_path, paper_spec, monkeypatch):
    monkeypatch.setenv("ATLAS_HEARTBEAT_SECONDS", str(4 * HEARTBEAT_SECONDS))
    home = AtlasHome(tmp_path / "atlas")
    parts = LocalParts(home, agents=0, threads=1)
    try:
        addresses = parts.start()
        key, store = load_or_create_key(home.operator_key, "atlas"), LocalStore(addresses.content)
        registry = JobRegistry(home.jobs_database)
        ledger = Ledger(addresses.network, key, timeout_seconds=1)
        job = open_job(paper_spec(), home, store, registry, ledger, make_adapter=PaperAdapters().make)
        bus = await Bus.connect(addresses.bus, key)
        finish = asyncio.Event()

        async def when_told(node, task, hint, count):
            return await (completes if finish.is_set() else works_on)(node, task, hint, count)

        node = await scripted(tmp_path, addresses, store, when_told)
        settings = DispatchSettings(poll_seconds=0.1, answer_seconds=1, longest_pause_seconds=0.5)
        dispatcher = Dispatcher(ledger, bus, store, registry, settings=settings)
        running = asyncio.create_task(collect(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained))))
        while len(node.asked) < 4:
            await asyncio.sleep(0.05)

        os.kill(parts.children["chain"].child.pid, signal.SIGKILL)
        with pytest.raises(ChainUnreachable):
            await asyncio.to_thread(ledger.height)
        asked = sum(node.asked.values())
        finish.set()
        while not all(one.state == "completed" for one in registry.attempts(job.round(1))):
            await asyncio.sleep(0.05)
        assert sum(node.asked.values()) > asked
        assert not running.done()

        keeper = Restarter(parts.children, lambda name: True)
        while not running.done():
            keeper.restart_ended(time.monotonic())
            await asyncio.sleep(0.1)
        outcomes = await running
        assert [isinstance(one, CompletedTask) for one in outcomes] == [True] * 4
        assert {lease.attempt for lease in ledger.leases(job.job_id, 1)} == {1}
        await node.die()
        await bus.close()
        ledger.close()
    finally:
        parts.stop()


async def scripted(tmp_path, addresses, store, behaviour):
    key = load_or_create_key(tmp_path / "scripted" / "node.key", "atlas")
    node = ScriptedNode(key, Ledger(addresses.network, key, timeout_seconds=1), store, behaviour)
    await node.start(addresses.bus)
    return node


async def test_a_chain_that_stays_away_ends_the_run_with_its_error(place, paper_spec, bus, add_node):
    job = place.open(paper_spec())
    gone = place.addresses.network.model_copy(update={"url": "grpc+http://127.0.0.1:9"})
    with Ledger(gone, place.operator, timeout_seconds=0.2) as ledger:
        settings = DispatchSettings(poll_seconds=0.05, chain_patience_seconds=0.3)
        dispatcher = Dispatcher(ledger, bus, place.store, place.registry, settings=settings)
        with pytest.raises(ChainUnreachable):
            await collect(dispatcher.run(job, 1, training_tasks(job, 1, job.untrained)))
