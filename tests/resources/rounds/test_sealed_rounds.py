"""Rounds on sealed data over a real bus and chain: nodes get their keys, and the coordinator reads its own rows."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from atlas.content.sealed.sealing import file_key, read_header
from atlas.home import AtlasHome
from node_agent.data.sealed_data import KeyRefused, sealed_rows
from node_agent.errors import BusTimeout
from node_agent.wire import subjects
from node_agent.wire.messages import KeyAnswer
from resources.dispatch.dispatcher import Dispatcher, DispatchSettings
from resources.dispatch.outcomes import CompletedTask
from resources.keys.keyring import KeyRings
from resources.keys.sealed_rows import count_sealed_rows, open_rows
from resources.rounds.reference_update import reference_update
from resources.rounds.tasks import training_tasks
from tests.support.jobs.scripted_nodes import completes, works_on
from tests.support.jobs.sealed_jobs import request_for, sealed, unwrap


@pytest.fixture
def job(place, paper_spec):
    return place.open(sealed(paper_spec()))


@pytest.fixture
def rings(place):
    return KeyRings(place.home)


@pytest.fixture
def tasks(job):
    return training_tasks(job, 1, job.untrained)


@pytest.fixture
def dispatcher(place, bus):
    settings = DispatchSettings(poll_seconds=0.1, answer_seconds=5.0)
    return Dispatcher(place.ledger, bus, place.store, place.registry, settings=settings, home=place.home)


def shop_of(node):
    return SimpleNamespace(
        store=node.store, bus=node.bus, signer=node.key, owner_of=lambda job: node.ledger.job(job).owner
    )


async def test_nodes_get_their_keys_over_the_bus_while_the_round_runs(dispatcher, job, tasks, add_node, tmp_path):
    opened = {}

    async def opens(node, task, hint, count):
        folder = tmp_path / task.cid
        folder.mkdir(exist_ok=True)
        path = await sealed_rows(task, shop_of(node), folder)
        opened[task.shard] = path.read_bytes()
        return node.completed(task)

    for _ in range(2):
        await add_node(opens)
    async with aclosing(dispatcher.run(job, 1, tasks)) as outcomes:
        ended = [outcome async for outcome in outcomes]
    assert all(isinstance(outcome, CompletedTask) for outcome in ended)
    assert sorted(opened) == ["s000", "s001", "s002", "s003"]
    assert {shard.key: shard.bytes for shard in job.dataset.shards} == {key: len(data) for key, data in opened.items()}


async def test_a_node_that_is_revoked_is_told_so_and_gets_no_more_work(
    dispatcher, job, tasks, add_node, rings, tmp_path
):
    told = []

    async def is_revoked(node, task, hint, count):
        rings.revoke("ward", [node.key.address])
        with pytest.raises(KeyRefused) as caught:
            await sealed_rows(task, shop_of(node), tmp_path)
        told.append(str(caught.value))
        return node.report(task, "failed", error=str(caught.value))

    bad = await add_node(is_revoked, capacity=1)
    good = await add_node(completes)
    async with aclosing(dispatcher.run(job, 1, tasks)) as outcomes:
        ended = [outcome async for outcome in outcomes]
    assert {outcome.node_id for outcome in ended} == {good.node_id}
    assert len(told) == 1
    assert f"{bad.key.address} is revoked and gets no keys" in told[0]


async def test_with_every_node_revoked_a_task_waits_and_is_given_up(place, bus, job, tasks, add_node, rings):
    node = await add_node(completes)
    rings.revoke("ward", [node.key.address])
    settings = DispatchSettings(poll_seconds=0.1, patience_seconds=0.5)
    dispatcher = Dispatcher(place.ledger, bus, place.store, place.registry, settings=settings, home=place.home)
    async with aclosing(dispatcher.run(job, 1, tasks[:1])) as outcomes:
        (lost,) = [outcome async for outcome in outcomes]
    assert "revoked in the key ring" in lost.reason
    assert node.asked == {}


async def test_a_coordinator_of_other_tasks_keeps_silent(dispatcher, job, tasks, add_node):
    """Two runs of one job share its subject: an answer by the wrong one would be a refusal."""
    asked = asyncio.Event()

    async def hears(node, task, hint, count):
        asked.set()
        return await works_on(node, task, hint, count)

    node = await add_node(hears)

    async def run():
        async with aclosing(dispatcher.run(job, 1, tasks[:1])) as outcomes:
            await anext(outcomes)

    running = asyncio.create_task(run())
    await asyncio.wait_for(asked.wait(), 30)
    ours, other = (request_for(task, node.key).to_body() for task in (tasks[0], tasks[3]))
    answer = await node.bus.request(subjects.keys(job.job_id), ours, timeout=20)
    assert unwrap(answer.read(KeyAnswer), tasks[0], node.key)
    with pytest.raises(BusTimeout, match="No valid answer"):
        await node.bus.request(subjects.keys(job.job_id), other, timeout=1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_coordinators_own_training_reads_the_opened_reference_rows(place, paper_spec):
    spec = paper_spec(aggregation={"robust": {"rule": "fltrust", "reference_rows": 20}})
    job = place.open(sealed(spec))
    KeyRings(place.home).rotate("ward")
    seen = []

    def train(task, rows, store, cache, folder):
        seen.append((rows, rows.read_text().splitlines()))
        (folder / "adapter.safetensors").write_bytes(b"an update")
        return folder / "adapter.safetensors"

    update = reference_update(place.round(job), train=train)
    assert place.store.read(update) == b"an update"
    ((path, rows),) = seen
    assert len(rows) == 20
    assert not path.exists(), "what was opened is gone"


def test_rows_that_are_not_sealed_are_read_where_they_are(place, paper_spec, tmp_path):
    job = place.open(paper_spec())
    rows = open_rows(job.dataset.holdout, job.spec.dataset, place.home, place.store, tmp_path)
    assert rows == place.store.fetch(job.dataset.holdout.cid)


def test_the_same_order_gives_the_same_sealed_dataset(place, job, rings):
    """A restart between the job's entry on chain and its entry in the registry finds it by its dataset's CID."""
    assert {shard.form for shard in job.dataset.shards} == {job.dataset.holdout.form} == {"sealed"}
    sealed = place.store.fetch(job.dataset.shards[0].cid)
    assert rings.get("ward").file_key(sealed) == file_key(rings.get("ward").newest, read_header(sealed))
    place.home.jobs_database.unlink()
    registry = type(place.registry)(place.home.jobs_database)
    place.registry = registry
    assert place.open(job.spec).dataset_cid == job.dataset_cid


def test_whoever_has_the_ring_can_count_sealed_rows(place, job, tmp_path):
    spec = job.spec.dataset
    for shard in job.dataset.shards:
        assert count_sealed_rows(shard.cid, spec, place.home, place.store) == shard.rows
    assert count_sealed_rows(job.dataset.shards[0].cid, spec, AtlasHome(tmp_path / "elsewhere"), place.store) is None
