"""Who gets the key of a sealed shard, on a real chain: the holder of its task's live lease, and nobody else."""

import asyncio
import sqlite3
from dataclasses import dataclass, replace
from itertools import count

import pytest

from atlas.content.sealed.sealing import open_sealed
from atlas.documents.stored import put_document
from atlas.errors import SealError
from atlas.spec.job import TaskSpec
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import SlotAttempt
from node_agent.wire.messages import KeyAnswer
from resources.dispatch.key_release import KeyRelease
from resources.dispatch.round_on_chain import RoundOnChain
from resources.dispatch.work import Held
from resources.keys.key_journal import KeyJournal, KeyRecipient
from resources.keys.keyring import KeyRings
from resources.rounds.tasks import evaluation_task, training_tasks
from tests.support.jobs.sealed_jobs import request_for, sealed, unwrap


@pytest.fixture
def job(place, paper_spec):
    return place.open(sealed(paper_spec()))


@pytest.fixture
def rings(place):
    return KeyRings(place.home)


@pytest.fixture
def journal(place):
    times = count(1000)
    return KeyJournal(place.home.jobs_database, clock=lambda: float(next(times)))


@dataclass
class Desk:
    """Leases tasks of the first round, and asks for their keys as nodes would."""

    place: object
    job: object
    release: KeyRelease

    def lease(self, task: TaskSpec, node) -> TaskSpec:
        held = Held(node.node_id, node.key.address, task, put_document(self.place.store, task))
        refused = RoundOnChain(self.place.ledger, self.place.store, self.job.round(1)).assign([held])
        assert refused == {}
        return task

    def ask(self, asked: TaskSpec, key, sender: str | None = None, **changes) -> KeyAnswer:
        request = request_for(asked, key)
        return self.release.answer(sender or key.address, request.model_copy(update=changes))

    def refused(self, reason: str, *arguments, **changes) -> None:
        answer = self.ask(*arguments, **changes)
        assert (answer.ephemeral, answer.box) == (None, None)
        assert not answer.later
        assert answer.refused is not None
        assert reason in answer.refused

    def live(self, task: TaskSpec) -> bool:
        return self.place.ledger.lease(task.job_id, task.round, task.slot).live


@pytest.fixture
def desk(place, job, rings, journal):
    return Desk(place, job, KeyRelease(job, 1, place.ledger, place.store, rings, "ward", journal))


@pytest.fixture
def tasks(job):
    return training_tasks(job, 1, job.untrained)


async def test_the_holder_of_a_lease_gets_the_key_of_its_shard_and_of_no_other(desk, tasks, add_node, place, tmp_path):
    node = await add_node()
    task = desk.lease(tasks[1], node)
    key = unwrap(desk.ask(task, node.key), task, node.key)
    open_sealed(place.store.fetch(task.data), key, tmp_path / "rows")
    rows = (tmp_path / "rows").read_text().splitlines()
    assert len(rows) == task.rows
    assert all(row.startswith('{"label":') for row in rows)
    with pytest.raises(SealError):
        open_sealed(place.store.fetch(tasks[0].data), key, tmp_path / "others")


async def test_an_evaluation_opens_the_held_out_rows(desk, job, add_node, place, tmp_path):
    node = await add_node()
    task = desk.lease(evaluation_task(job, 1, job.untrained, job.untrained), node)
    key = unwrap(desk.ask(task, node.key), task, node.key)
    open_sealed(place.store.fetch(job.dataset.holdout.cid), key, tmp_path / "r")
    assert len((tmp_path / "r").read_text().splitlines()) == job.dataset.holdout.rows


async def test_what_is_wrapped_for_one_node_is_of_no_use_to_another(desk, tasks, add_node):
    node, other = await add_node(), await add_node()
    task = desk.lease(tasks[0], node)
    with pytest.raises(SealError, match=other.key.address):
        unwrap(desk.ask(task, node.key), task, other.key)


async def test_without_a_lease_there_is_no_key(desk, tasks, add_node):
    node = await add_node()
    desk.refused("no live lease", tasks[0], node.key)


async def test_another_node_and_a_stranger_get_none(desk, tasks, add_node, tmp_path):
    node, other = await add_node(), await add_node()
    task = desk.lease(tasks[0], node)
    desk.lease(tasks[1], other)
    desk.refused("not held by", task, other.key)
    desk.refused("not held by", task, load_or_create_key(tmp_path / "stranger.key", "atlas"))
    desk.refused("not held by", task, desk.place.operator)


async def test_a_key_is_wrapped_for_nobody_but_its_sender(desk, tasks, add_node):
    node, other = await add_node(), await add_node()
    task = desk.lease(tasks[0], node)
    desk.refused("is not that of", task, other.key, sender=node.key.address)


async def test_an_old_attempt_gets_none(desk, tasks, add_node, place, job):
    node = await add_node()
    first = desk.lease(tasks[0], node)
    place.ledger.release_batch(job.job_id, 1, [SlotAttempt(0, 1)])
    desk.refused("no live lease", first, node.key)
    second = desk.lease(first.model_copy(update={"attempt": 2}), node)
    desk.refused("no live lease", first, node.key)
    assert unwrap(desk.ask(second, node.key), second, node.key)
    desk.refused("is not for the task", second, node.key, task=first.cid)


async def test_a_lease_whose_node_fell_silent_gives_none(desk, tasks, add_node):
    node = await add_node()
    task = desk.lease(tasks[0], node)
    await node.die()
    async with asyncio.timeout(60):
        while desk.live(task):
            await asyncio.sleep(0.2)
    desk.refused("no live lease", task, node.key)


async def test_a_completed_task_gives_none(desk, tasks, add_node, place, job):
    node = await add_node()
    task = desk.lease(tasks[0], node)
    place.ledger.complete_batch(job.job_id, 1, [SlotAttempt(0, 1)])
    desk.refused("no live lease", task, node.key)


async def test_a_revoked_address_gets_none_until_it_is_restored(desk, tasks, add_node, rings):
    node, other = await add_node(), await add_node()
    task, others = desk.lease(tasks[0], node), desk.lease(tasks[1], other)
    rings.revoke("ward", [node.key.address])
    desk.refused("is revoked and gets no keys", task, node.key)
    assert unwrap(desk.ask(others, other.key), others, other.key), "what was sealed before the rotation still opens"
    rings.restore("ward", node.key.address)
    assert unwrap(desk.ask(task, node.key), task, node.key)


async def test_a_request_for_another_task_than_the_leased_one_is_refused(desk, tasks, add_node):
    node, other = await add_node(), await add_node()
    task, others = desk.lease(tasks[0], node), desk.lease(tasks[1], other)
    desk.refused("is not for the task", task, node.key, task=others.cid)
    desk.refused("is not for the task", task, node.key, task_id=others.task_id)
    desk.refused("not held by", task, node.key, slot=1)
    desk.refused("no live lease", task, node.key, slot=2)
    desk.refused("no live lease", task, node.key, slot=999)
    desk.refused("no live lease", task, node.key, round=2)


@pytest.mark.parametrize("change", ["other shard", "reference", "plain"])
async def test_a_task_on_other_data_than_its_slots_gets_none(change, desk, tasks, add_node, job):
    node = await add_node()
    changes = {"other shard": {"data": tasks[1].data}, "reference": {"data": job.dataset.holdout.cid}}
    task = desk.lease(tasks[0].model_copy(update=changes.get(change, {"form": "rows"})), node)
    desk.refused("does not use sealed data", task, node.key)


async def test_a_ring_that_is_gone_is_no_final_refusal(desk, tasks, add_node, place):
    node = await add_node()
    task = desk.lease(tasks[0], node)
    (place.home.root / "keys" / "data" / "ward.json").unlink()
    answer = desk.ask(task, node.key)
    assert (answer.box, answer.later) == (None, True)
    assert "ward" not in answer.refused


async def test_what_is_given_is_on_record_once_and_what_is_refused_is_not(desk, job, tasks, add_node, journal):
    node, other = await add_node(), await add_node()
    first, second = desk.lease(tasks[1], node), desk.lease(evaluation_task(job, 1, job.untrained, job.untrained), other)
    desk.refused("not held by", first, other.key)
    assert journal.released("ward") == []
    for task, asker in ((first, node), (second, other), (first, node)):
        assert unwrap(desk.ask(task, asker.key), task, asker.key)
    shard = KeyRecipient(
        "ward", node.key.address, job.contract, job.job_id, job.name, 1, 1, data="s001", file=tasks[1].data
    )
    held_out = replace(shard, address=other.key.address, data="holdout", file=job.dataset.holdout.cid)
    assert journal.released("ward") == [(1000.0, shard), (1001.0, held_out)]
    assert journal.released("another") == []


async def test_a_key_that_cannot_be_recorded_is_not_given(desk, tasks, add_node, place):
    node = await add_node()
    task = desk.lease(tasks[0], node)
    with sqlite3.connect(place.home.jobs_database) as database:
        database.execute("DROP TABLE released_keys")
    answer = desk.ask(task, node.key)
    assert (answer.box, answer.later) == (None, True)
