"""A node whose manifest asks for more than a job pays is not offered its tasks; the wait says why."""

import asyncio
from contextlib import aclosing

import pytest

from atlas.documents.stored import put_document
from node_agent.presence.machine import NodeManifest
from resources.dispatch.outcomes import CompletedTask, LostTask
from resources.rounds.tasks import training_tasks

REWARD = 100_000


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


async def ask_for(node, price: int) -> None:
    manifest = NodeManifest(
        address=node.key.address,
        version="0",
        platform="x",
        cpu="c",
        cores=1,
        memory_bytes=1,
        gpus=[],
        slots=1,
        price=price,
    )
    await asyncio.to_thread(node.ledger.update_node, 8, put_document(node.store, manifest), None)


async def run(place, job, bus, updates, **settings) -> list:
    dispatcher = await place.dispatcher(bus, **settings)
    running = dispatcher.run(job, 1, training_tasks(job, 1, job.untrained), on_update=updates.append)
    async with aclosing(running) as outcomes:
        return [outcome async for outcome in outcomes]


async def test_the_dear_node_is_left_alone(place, job, add_node, bus):
    dear, cheap = await add_node(), await add_node()
    await ask_for(dear, REWARD + 1)
    await ask_for(cheap, REWARD)
    outcomes = await run(place, job, bus, [])
    assert [type(one) for one in outcomes] == [CompletedTask] * 4
    assert {one.node_id for one in outcomes} == {cheap.node_id}
    assert dear.asked == {}


async def test_without_another_node_the_tasks_wait_and_say_that_it_is_the_price(place, job, add_node, bus):
    dear, updates = await add_node(), []
    await ask_for(dear, REWARD + 1)
    outcomes = await run(place, job, bus, updates, patience_seconds=0.5)
    assert [type(one) for one in outcomes] == [LostTask] * 4
    reason = f"the job pays {REWARD} per task, which is less than the price of node {dear.node_id}"
    assert all(reason in one.reason for one in outcomes)
    assert reason in next(update.text for update in updates if update.event == "waiting")
    assert dear.asked == {}
